"""Checks what was built: no program larger than SIZE, and none that asks for a newer glibc than Amazon Linux 2023 has.

Usage: built.py PROGRAM..., by the Python in which pyelftools is installed.
"""

import pathlib
import sys

from elftools.elf.elffile import ELFFile

SIZE = 8 * 1024 * 1024
GLIBC = (2, 34)
# What is only used if it is there (VER_FLG_WEAK) keeps no program from starting.
WEAK = 0x2


def glibc_of(program):
    """The newest version of glibc that its symbols need."""
    with program.open("rb") as stream:
        versions = ELFFile(stream).get_section_by_name(".gnu.version_r")
        needed = [one for _, some in versions.iter_versions() for one in some] if versions else []
        names = [one.name for one in needed if not one["vna_flags"] & WEAK]
    numbers = [name.removeprefix("GLIBC_") for name in names if name.startswith("GLIBC_2.")]
    return max((tuple(map(int, number.split("."))) for number in numbers), default=(0, 0))


def main(*programs):
    problems = []
    for program in map(pathlib.Path, programs):
        size, (major, minor, *_) = program.stat().st_size, glibc_of(program)
        print(f"  {size:>8} bytes, glibc {major}.{minor}  {program}")
        if size > SIZE:
            problems.append(f"{program} is larger than {SIZE} bytes")
        if (major, minor) > GLIBC:
            problems.append(f"{program} needs glibc {major}.{minor}; Amazon Linux 2023 has 2.34")
    if problems:
        raise SystemExit("\n".join(f"error: {problem}" for problem in problems))


if __name__ == "__main__":
    main(*sys.argv[1:])
