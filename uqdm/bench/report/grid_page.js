// The page of a grid: the choice of its theme.
"use strict";

byId("theme-choice").hidden = false;
new Theme(byId("theme"));
