"""Shell completion: stages, then keys and groups of the stage, then the options of a group."""

from __future__ import annotations

import sys

from pipelines import stage

_BASH = """_clinical_lstm() {
  local line="${COMP_LINE:0:$COMP_POINT}" IFS=$'\\n'
  COMPREPLY=($(clinical-lstm completion words "$line"))
  # bash splits words at "=": keep only what stands behind it
  local word="${line##* }"
  [[ "$word" == *=* ]] && COMPREPLY=("${COMPREPLY[@]#*=}")
  [[ "${COMPREPLY[0]}" == *= ]] && compopt -o nospace
}
complete -F _clinical_lstm clinical-lstm"""


def script(arguments: list[str]) -> int:
    """Print the completion script of a shell (`bash`, `zsh`), or (`words LINE`) the words that can end a line."""
    kind = arguments[0] if arguments else ""
    if kind == "words":
        print("\n".join(words(arguments[1] if len(arguments) > 1 else "")))
    elif kind == "bash":
        print(_BASH)
    elif kind == "zsh":
        print(f"autoload -U +X bashcompinit && bashcompinit\n{_BASH}")
    else:
        print("clinical-lstm completion: say bash or zsh", file=sys.stderr)
        return 2
    return 0


def words(line: str) -> list[str]:
    """Return what the last word of a command line can become.

    >>> words("clinical-lstm train model=ls")
    ['model=lstm']
    """
    parts = line.split(" ")
    word, before = parts[-1], [part for part in parts[1:-1] if part]
    if not before:
        return [name for name in [*stage.STAGES, "completion"] if name.startswith(word)]
    if before[0] not in stage.STAGES:
        return []
    options = stage.groups()
    keys = [*stage.documentation(before[0])[1], *stage.COMMON]
    if "=" in word:
        key = word.split("=", 1)[0]
        found = [f"{key}={name}" for name in options.get(key, [])]
    else:
        found = [f"{key}=" for key in keys]
    return sorted(name for name in found if name.startswith(word))
