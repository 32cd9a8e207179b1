#!/usr/bin/env python3
# Copyright 2026 the xsched-triton authors.
# SPDX-License-Identifier: Apache-2.0
"""Writes the assembly that forwards the driver's functions.

Every symbol of symbols.txt that no table intercepts becomes a function of
that name that jumps through a slot. The slot first leads to code that looks
the driver's function up; from then on it leads there directly. No argument is
touched, so no signature need be known.

usage: generate.py OUTPUT
"""

import sys

import rows

HEADER = """\
/* Made by generate.py; not to be edited. */
  .text
"""

FORWARD = """\
  .globl {name}
  .type {name}, @function
  .p2align 4
{name}:
  .cfi_startproc
  endbr64
  jmp *xsched_slots+{offset}(%rip)
  .cfi_endproc
  .size {name}, . - {name}
xsched_first_{index}:
  endbr64
  push ${index}
  jmp xsched_first_call
"""

# Keeps every register that may hold an argument. At entry the stack holds the
# index and the caller's return address, so it is aligned to 16 bytes.
FIRST_CALL = """\
  .type xsched_first_call, @function
xsched_first_call:
  push %rbp
  mov %rsp, %rbp
  push %rdi
  push %rsi
  push %rdx
  push %rcx
  push %r8
  push %r9
  push %rax
  sub $128, %rsp
  movups %xmm0, (%rsp)
  movups %xmm1, 16(%rsp)
  movups %xmm2, 32(%rsp)
  movups %xmm3, 48(%rsp)
  movups %xmm4, 64(%rsp)
  movups %xmm5, 80(%rsp)
  movups %xmm6, 96(%rsp)
  movups %xmm7, 112(%rsp)
  mov 8(%rbp), %rdi
  call XschedResolve
  mov %rax, %r11
  movups (%rsp), %xmm0
  movups 16(%rsp), %xmm1
  movups 32(%rsp), %xmm2
  movups 48(%rsp), %xmm3
  movups 64(%rsp), %xmm4
  movups 80(%rsp), %xmm5
  movups 96(%rsp), %xmm6
  movups 112(%rsp), %xmm7
  add $128, %rsp
  pop %rax
  pop %r9
  pop %r8
  pop %rcx
  pop %rdx
  pop %rsi
  pop %rdi
  pop %rbp
  add $8, %rsp
  jmp *%r11
  .size xsched_first_call, . - xsched_first_call
"""


def main():
    (output,) = sys.argv[1:]
    try:
        intercepted = {row.symbol for row in rows.read_rows()}
        names = [symbol for symbol in rows.read_symbols() if symbol not in intercepted]
    except rows.TableError as error:
        sys.exit(str(error))
    parts = [HEADER]
    for index, name in enumerate(names):
        parts.append(FORWARD.format(name=name, index=index, offset=index * 8))
    parts.append(FIRST_CALL)
    parts.append("  .section .data.rel.local,\"aw\",@progbits\n  .p2align 3\n")
    parts.append("  .hidden xsched_slots\n  .globl xsched_slots\nxsched_slots:\n")
    parts += [f"  .quad xsched_first_{i}\n" for i in range(len(names))]
    parts.append("  .section .rodata\n  .hidden xsched_names\n")
    parts.append("  .globl xsched_names\nxsched_names:\n")
    parts += [f'  .asciz "{name}"\n' for name in names]
    parts.append('  .asciz ""\n')
    parts.append('  .section .note.GNU-stack,"",@progbits\n')
    with open(output, "w", encoding="utf-8") as file:
        file.write("".join(parts))


if __name__ == "__main__":
    main()
