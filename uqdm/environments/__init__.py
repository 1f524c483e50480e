"""Named environments: the software around processes of a codec that cannot run in this Python.

An environment is made from a lock file of pip (``.txt``) or a file of conda (``.yaml``), or is entered by a command
such as ``docker run -i --rm IMAGE`` (``docs/environments.md``).
"""

from uqdm.environments.contract import Environment, EnvironmentMakeError
from uqdm.environments.find import PARAMETER, canonical_text, environment
from uqdm.environments.made import MadeEnvironment

__all__ = ["PARAMETER", "Environment", "EnvironmentMakeError", "MadeEnvironment", "canonical_text", "environment"]
