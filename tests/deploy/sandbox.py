# SPDX-License-Identifier: Apache-2.0
"""The unit's system-call filter, put onto a process as systemd would: SystemCallFilter= and MemoryDenyWriteExecute=."""
import ctypes
import errno
import subprocess

ALLOW = 0x7FFF0000
DENY = 0x00050000 | errno.EPERM
MASKED_EQUAL = 7  # SCMP_CMP_MASKED_EQ
WRITE, EXECUTE = 2, 4


def named_sets():
    """{"@set": [names of system calls and of other sets]}, as this machine's systemd has them."""
    sets, current = {}, None
    text = subprocess.run(["systemd-analyze", "syscall-filter", "--no-pager"], capture_output=True, text=True,
                          check=True).stdout
    for line in text.splitlines():
        if line.startswith("@"):
            current = sets.setdefault(line.strip(), [])
        elif line.startswith("    ") and not line.strip().startswith("#") and current is not None:
            current.append(line.strip())
        elif line and not line.startswith(" "):
            current = None
    return sets


def allowed_calls(filters):
    """The system calls that the values of SystemCallFilter= leave; the first must be a list of what is allowed."""
    sets = named_sets()

    def expand(name):
        return {call for entry in sets[name] for call in expand(entry)} if name.startswith("@") else {name}

    allowed = expand("@default")
    for value in filters:
        calls = {call for name in value.lstrip("~").split() for call in expand(name)}
        allowed = allowed - calls if value.startswith("~") else allowed | calls
    return allowed


class Comparison(ctypes.Structure):
    _fields_ = [("argument", ctypes.c_uint), ("how", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64)]


def confine(calls):
    """Returns what a child process must call before it starts a program, to be left with `calls`."""
    library = ctypes.CDLL("libseccomp.so.2", use_errno=True)
    library.seccomp_init.restype = ctypes.c_void_p
    numbers = {library.seccomp_syscall_resolve_name(name.encode()) for name in calls}
    mmap = library.seccomp_syscall_resolve_name(b"mmap")
    mprotect = library.seccomp_syscall_resolve_name(b"mprotect")

    def load(default, rules):
        context = ctypes.c_void_p(library.seccomp_init(ctypes.c_uint32(default)))
        for action, number, *comparisons in rules:
            array = (Comparison * max(1, len(comparisons)))(*comparisons)
            if library.seccomp_rule_add_array(context, ctypes.c_uint32(action), number, len(comparisons), array) != 0:
                raise OSError("seccomp rule")
        if library.seccomp_load(context) != 0:
            raise OSError("seccomp load")

    def enter():
        both = WRITE | EXECUTE
        load(ALLOW, [(DENY, mmap, Comparison(2, MASKED_EQUAL, both, both)),
                     (DENY, mprotect, Comparison(2, MASKED_EQUAL, EXECUTE, EXECUTE))])
        load(DENY, [(ALLOW, number) for number in sorted(numbers) if number >= 0])

    return enter
