// The page of a contest: sorted tables, and the choice of its theme.
"use strict";

document.querySelectorAll("table.sortable").forEach(makeSortable);
byId("theme-choice").hidden = false;
new Theme(byId("theme"));
