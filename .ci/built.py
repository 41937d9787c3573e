"""Checks what was built of each function: no larger than SIZE, and no newer glibc asked for than Amazon Linux 2023 has.

Usage: built.py FOLDER SUFFIX, by the Python in which pyelftools is installed. Every function's program is
FOLDER/<name>SUFFIX; those that are not there are told, unless there is none at all.
"""

import pathlib
import sys

from elftools.elf.elffile import ELFFile

SIZE = 8 * 1024 * 1024
GLIBC = (2, 34)


def glibc_of(program):
    """The newest version of glibc that its symbols are asked of."""
    with program.open("rb") as stream:
        needed = ELFFile(stream).get_section_by_name(".gnu.version_r")
        names = [symbol.name for _, symbols in needed.iter_versions() for symbol in symbols] if needed else []
    versions = [tuple(map(int, name.removeprefix("GLIBC_").split("."))) for name in names if name.startswith("GLIBC_2")]
    return max(versions, default=(0, 0))


def main(folder, suffix=""):
    problems = []
    for name in sorted(path.parent.name for path in pathlib.Path("functions").glob("*/Cargo.toml")):
        program = pathlib.Path(folder) / f"{name}{suffix}"
        size, glibc = program.stat().st_size, glibc_of(program)
        print(f"  {name:<26}{size:>10} bytes, glibc {glibc[0]}.{glibc[1]}")
        if size > SIZE:
            problems.append(f"{name} is larger than {SIZE} bytes")
        if glibc > GLIBC:
            problems.append(f"{name} needs glibc {glibc[0]}.{glibc[1]}, newer than Amazon Linux 2023's")
    if problems:
        raise SystemExit("\n".join(f"error: {problem}" for problem in problems))


if __name__ == "__main__":
    main(*sys.argv[1:])
