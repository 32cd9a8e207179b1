// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0
//
// What others call: dlsym, and the functions that Triton is given in place of
// the backends'.

#include "backend_count.h"

        .text

// Keeps the two arguments during a call.
.macro  CALL_WITH_ARGUMENTS_KEPT function
        pushq   %rdi
        .cfi_adjust_cfa_offset 8
        pushq   %rsi
        .cfi_adjust_cfa_offset 8
        subq    $8, %rsp
        .cfi_adjust_cfa_offset 8
        call    \function
        addq    $8, %rsp
        .cfi_adjust_cfa_offset -8
        popq    %rsi
        .cfi_adjust_cfa_offset -8
        popq    %rdi
        .cfi_adjust_cfa_offset -8
.endm

// void* dlsym(void* handle, const char* name)
//
// Answers for the hooks if the name may be one of theirs. Otherwise it becomes
// a jump to the next dlsym, so that the return address stays the caller's: the C
// library looks there to know after which library RTLD_NEXT begins, and whose
// libraries RTLD_DEFAULT means.
        .globl  dlsym
        .type   dlsym, @function
        .p2align 4
dlsym:
        .cfi_startproc
        endbr64
        testq   %rsi, %rsi
        jz      1f
        cmpb    $'T', (%rsi)            // as in TRITONBACKEND_
        jne     1f
        movq    (%rsp), %rdx
        CALL_WITH_ARGUMENTS_KEPT xsched_hooks_answer
        testq   %rax, %rax
        jz      1f
        ret
1:      movq    xsched_hooks_next_dlsym(%rip), %rax
        testq   %rax, %rax
        jnz     2f
        CALL_WITH_ARGUMENTS_KEPT xsched_hooks_find_next_dlsym
2:      jmpq    *%rax
        .cfi_endproc
        .size   dlsym, .-dlsym

// A function for each backend, which adds the backend's number to the
// arguments: it is the fourth, where Triton's functions have at most three.
// Triton knows a function by its address alone, so the backends need different
// ones.
.macro  FUNCTIONS table, target
        .hidden \table
        .globl  \table
        .type   \table, @function
        .p2align 4
\table:
        .set    backend, 0
        .rept   XSCHED_HOOKS_BACKENDS
        .cfi_startproc
        endbr64
        movl    $backend, %ecx
        jmp     \target
        .cfi_endproc
        .p2align XSCHED_HOOKS_FUNCTION_BITS
        .set    backend, backend + 1
        .endr
        .size   \table, .-\table
.endm

        FUNCTIONS xsched_hooks_initialize_functions, xsched_hooks_initialize
        FUNCTIONS xsched_hooks_finalize_functions, xsched_hooks_finalize
        FUNCTIONS xsched_hooks_execute_functions, xsched_hooks_execute

        .section .note.GNU-stack, "", @progbits
