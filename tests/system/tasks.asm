; SPDX-License-Identifier: GPL-2.0-or-later
; Hardware task switches: JMP, CALL, IRET, gates, interrupts; 16- and 32-bit TSS. SDM 3A chapter 7.
%include "common.inc"

%define TASK            T4              ; 32-bit TSS at task32
%define TASK16          T5              ; 16-bit TSS at task16
%define GATE            T6              ; a task gate to TASK
%define TSTACK          0x60000

%macro desc_task 0-1 P | 9
        desc    TASK, abs(task32), 0x67, %1, 0
%endmacro
%macro desc_task16 0
        desc    TASK16, abs(task16), 0x2b, P | 1, 0
%endmacro
%macro tss_back 0                       ; TSS is the current task again
        desc    TSS, abs(tss), tss_end - tss - 1, P | 9, 0
        mov     ax, TSS
        ltr     ax
        clts
%endmacro

; A task of level 0 that starts at %1.
%macro make_task 1-2 2
        mov     dword [task32 + 0x00], 0
        mov     dword [task32 + 0x1c], 0
        mov     dword [task32 + 0x20], %1
        mov     dword [task32 + 0x24], %2
        mov     dword [task32 + 0x28], 0xa0a0a0a0
        mov     dword [task32 + 0x2c], 0xc1c1c1c1
        mov     dword [task32 + 0x30], 0xd2d2d2d2
        mov     dword [task32 + 0x34], 0xb3b3b3b3
        mov     dword [task32 + 0x38], TSTACK
        mov     dword [task32 + 0x3c], 0xb5b5b5b5
        mov     dword [task32 + 0x40], 0x56565656
        mov     dword [task32 + 0x44], 0xd7d7d7d7
        mov     dword [task32 + 0x48], KDATA
        mov     dword [task32 + 0x4c], KCODE
        mov     dword [task32 + 0x50], KDATA
        mov     dword [task32 + 0x54], KDATA
        mov     dword [task32 + 0x58], UDATA
        mov     dword [task32 + 0x5c], 0
        mov     dword [task32 + 0x60], 0
        mov     dword [task32 + 0x64], 0x00680000
        desc_task
%endmacro

main:
        gate    gdt + GATE, TASK, 0, 0x85
        case    'JMP: registers come from the TSS'
        make_task here_jmp, 0x8d7
        mov     ecx, 0x12345678
        try
        jmp     TASK:0
here_after_jmp:
here_jmp:
        int     END
        tried
        is      seen_vector, END
        is      seen_eax, 0xa0a0a0a0
        is      seen_ecx, 0xc1c1c1c1
        is      seen_edx, 0xd2d2d2d2
        is      seen_ebx, 0xb3b3b3b3
        is      seen_ebp, 0xb5b5b5b5
        is      seen_esi, 0x56565656
        is      seen_edi, 0xd7d7d7d7
        is      seen_sp, TSTACK
        is      seen_fs, UDATA
        is      seen_flags, 0x8d7
        is      seen_tr, TASK
        case    'JMP: the old task is saved and not busy, the new one busy'
        is      tss + 0x20, here_after_jmp
        is      tss + 0x2c, 0x12345678
        is      tss + 0x4c, KCODE, 0xffff
        is      tss + 0x48, KDATA, 0xffff
        is      gdt + TSS + 4, 0x8900, 0xff00
        is      gdt + TASK + 4, 0x8b00, 0xff00
        is      seen_cr0, 8, 8          ; TS
        is      task32, 0               ; no back link
        tss_back
        case    'CALL and IRET: NT, back link, busy bits'
        make_task here_call
        mov     dword [result], 0
        mov     ebx, 0x11112222
        mov     ebp, esp
        call    TASK:0
here_back:
        reg_is  ebx, 0x11112222
        mov     eax, esp
        reg_is  eax, ebp
        is      result, 0x4000, 0x4000  ; NT in the inner task
        is      result + 4, TSS, 0xffff ; back link
        is      result + 8, 0x8b00, 0xff00 ; both busy
        is      result + 12, 0x8b00, 0xff00
        is      result + 16, here_back
        is      gdt + TASK + 4, 0x8900, 0xff00
        is      gdt + TSS + 4, 0x8b00, 0xff00
        is      task32 + 0x24, 0, 0x4000 ; NT is clear in the task that returned
        is      task32 + 0x20, here_iret
        str     ax
        movzx   eax, ax
        reg_is  eax, TSS
        jmp     here_call_done
here_call:
        clts
        pushfd
        pop     dword [result]
        mov     eax, [task32]
        mov     [result + 4], eax
        mov     eax, [gdt + TSS + 4]
        mov     [result + 8], eax
        mov     eax, [gdt + TASK + 4]
        mov     [result + 12], eax
        mov     eax, [tss + 0x20]
        mov     [result + 16], eax
        iretd
here_iret:
        int     0xff
here_call_done:
        clts
        case    'CALL through a task gate'
        make_task here_call
        mov     dword [result], 0
        call    GATE:0
        is      result, 0x4000, 0x4000
        clts
        case    'INT through a task gate'
        make_task here_call
        gate    idt_entry(0x81), TASK, 0, 0x85
        mov     dword [result], 0
        int     0x81
here_int_back:
        is      result, 0x4000, 0x4000
        is      result + 16, here_int_back
        clts
        restore_gate 0x81
        case    'An exception through a task gate: error code on its stack'
        make_task here_gp
        gate    idt_entry(13), TASK, 0, 0x85
        mov     ax, 0x1f8
here_fault:
        mov     ds, ax
        jmp     here_gp_done
here_gp:
        clts
        pop     dword [result]
        mov     [result + 4], esp
        mov     eax, [tss + 0x20]
        mov     [result + 8], eax
        mov     eax, [tss + 0x24]
        mov     [result + 12], eax
        add     dword [tss + 0x20], 2
        iretd
here_gp_done:
        clts
        is      result, 0x1f8
        is      result + 4, TSTACK
        is      result + 8, here_fault
        is      result + 12, 0x10000, 0x10000 ; RF
        restore_gate 13
        case    'Busy task'
        make_task here_jmp
        desc_task P | 11
        faults  13, TASK, jmp TASK:0
        faults  13, TASK, call TASK:0
        faults  13, TASK, call GATE:0
        case    'A task is not called from itself'
        faults  13, TSS, call TSS:0
        case    'Task not present'
        desc_task 9
        faults  11, TASK, jmp TASK:0
        case    'TSS too small'
        desc    TASK, abs(task32), 0x66, P | 9, 0
        faults  10, TASK, jmp TASK:0
        case    'Privilege of TSS and task gate'
        desc_task
        user_faults 13, TASK, jmp TASK:0
        user_faults 13, GATE, call GATE:0
        case    'Task gate not present'
        gate    gdt + GATE, TASK, 0, 0x05
        faults  11, GATE, jmp GATE:0
        case    'Task gate: not a TSS, null, local'
        gate    gdt + GATE, KDATA, 0, 0x85
        faults  13, KDATA, jmp GATE:0
        gate    gdt + GATE, 0, 0, 0x85
        faults  13, 0, jmp GATE:0
        gate    gdt + GATE, 0x0c, 0, 0x85
        faults  13, 0x0c, jmp GATE:0
        case    'IRET with NT: back link not a busy TSS'
        desc_task
        mov     dword [tss], TASK
        try
        push    dword 0x4002
        popfd
here_nt:
        iretd
        tried
        is      seen_vector, 10
        is      seen_error, TASK
        is      seen_ip, here_nt
        case    'IRET with NT: back link outside the GDT, local'
        mov     dword [tss], 0x200
        try
        push    dword 0x4002
        popfd
        iretd
        tried
        is      seen_vector, 10
        is      seen_error, 0x200
        mov     dword [tss], 0x0c
        try
        push    dword 0x4002
        popfd
        iretd
        tried
        is      seen_vector, 10
        is      seen_error, 0x0c
        mov     dword [tss], 0

; A bad selector in the new TSS: the fault is the new task's, at its first instruction. It may have
; no stack by then, so a third task handles it.
%macro task_faults 4                    ; vector, error, offset in TSS, selector
        make_task here_jmp
        mov     dword [task32 + %3], %4
        desc    T7, abs(task_handler), 0x67, P | 9, 0
        mov     dword [task_handler + 0x20], here_handler
        mov     dword [task_handler + 0x24], 2
        mov     dword [task_handler + 0x38], TSTACK - 0x100
        gate    idt_entry(%1), T7, 0, 0x85
        try
        jmp     TASK:0
        tried
        restore_gate %1
        is      seen_vector, END
        is      result, %2
        is      result + 4, TSTACK - 0x100
        is      task32 + 0x20, here_jmp
        is      task_handler, TASK, 0xffff
        is      seen_tr, T7
        tss_back
%endmacro
        case    'New task: DS outside, privilege, not present'
        task_faults 10, 0x200, 0x54, 0x200
        task_faults 10, KDATA, 0x54, KDATA | 3
        desc    T0, 0, 0xfffff, DATA, FLAT
        task_faults 11, T0, 0x54, T0
        case    'New task: system segment in ES'
        task_faults 10, LDT, 0x48, LDT
        case    'New task: SS null, privilege, not present'
        task_faults 10, 0, 0x50, 0
        task_faults 10, UDATA & ~3, 0x50, UDATA
        task_faults 12, T0, 0x50, T0
        case    'New task: CS null, data, privilege, not present'
        task_faults 10, 0, 0x4c, 0
        task_faults 10, KDATA, 0x4c, KDATA
        task_faults 10, UCODE & ~3, 0x4c, UCODE & ~3
        desc    T1, 0, 0xfffff, CODE, FLAT
        task_faults 11, T1, 0x4c, T1
        case    'New task: LDT is none'
        task_faults 10, KDATA, 0x60, KDATA
        case    'New task: EIP beyond the limit'
        desc    T1, 0, 0xf, P | CODE, SMALL32
        task_faults 13, 0, 0x4c, T1

        case    'New task: LDTR'
        make_task here_jmp
        mov     dword [task32 + 0x60], LDT
        try
        jmp     TASK:here_never
        tried
        is      seen_vector, END
        sldt    ax
        movzx   eax, ax
        reg_is  eax, LDT
        tss_back
        case    'New task at level 3'
        make_task here_user
        mov     dword [task32 + 0x48], UDATA
        mov     dword [task32 + 0x4c], UCODE
        mov     dword [task32 + 0x50], UDATA
        mov     dword [task32 + 0x54], UDATA
        mov     dword [task32 + 0x04], ISTACK
        mov     dword [task32 + 0x08], KDATA
        try
        jmp     TASK:0
here_user:
        int     END
        tried
        is      seen_vector, END
        is      seen_cs, UCODE
        is      seen_ss, UDATA
        is      seen_sp, TSTACK
        is      seen_handler_sp, ISTACK - 8
        tss_back
        case    'New task in V86 mode'
        make_task seg16(here_v86), 0x23002
        mov     dword [task32 + 0x48], 0x1000
        mov     dword [task32 + 0x4c], 0x800
        mov     dword [task32 + 0x50], 0x0700
        mov     dword [task32 + 0x54], 0x2000
        mov     dword [task32 + 0x38], 0x0100
        mov     dword [task32 + 0x04], ISTACK
        mov     dword [task32 + 0x08], KDATA
        try
        jmp     TASK:0
        bits    16
here_v86:
        int     END
        bits    32
        tried
        is      seen_vector, END
        is      seen_flags, 0x23002
        is      seen_cs, 0x800
        is      seen_ds, 0x2000
        is      seen_ss, 0x700
        tss_back
        case    'T: a debug trap before the first instruction'
        make_task here_t
        mov     word [task32 + 0x64], 1
        xor     eax, eax
        mov     dr6, eax
        try
        jmp     TASK:0
here_t:
        ud2
        tried
        is      seen_vector, 1
        is      seen_ip, here_t
        is      seen_dr6, 0x8000, 0xe00f
        tss_back
        case    'A switch clears the local breakpoints'
        make_task here_jmp
        mov     eax, 0x0007ff
        mov     dr7, eax
        try
        jmp     TASK:0
        tried
        mov     eax, dr7
        reg_is  eax, 0x6aa, 0x2ff
        xor     eax, eax
        mov     dr7, eax
        tss_back

        case    '16-bit TSS: JMP'
        desc_task16
        mov     word [task16 + 0x0e], here_16 - $$ + 0x8000
        mov     word [task16 + 0x10], 0x0002
        mov     word [task16 + 0x12], 0xa0a0
        mov     word [task16 + 0x14], 0xc1c1
        mov     word [task16 + 0x1a], 0x6000
        mov     word [task16 + 0x22], UDATA
        mov     word [task16 + 0x24], KCODE
        mov     word [task16 + 0x26], KDATA
        mov     word [task16 + 0x28], KDATA
        try
        jmp     TASK16:0
here_16:
        int     END
        tried
        is      seen_vector, END
        is      seen_eax, 0xa0a0, 0xffff
        is      seen_ecx, 0xc1c1, 0xffff
        is      seen_es, UDATA
        is      seen_fs, 0
        is      seen_gs, 0
        is      seen_tr, TASK16
        is      gdt + TASK16 + 4, 0x8300, 0xff00
        tss_back
        case    '16-bit TSS: CALL, saved, IRET to the 32-bit one'
        desc_task16
        mov     word [task16 + 0x0e], here_16c - $$ + 0x8000
        mov     dword [result], 0
        mov     ebx, 0x99998888
        call    TASK16:0
        reg_is  ebx, 0x99998888
        is      result, TSS, 0xffff
        is      task16 + 0x0e, here_16e - $$ + 0x8000, 0xffff
        is      task16 + 0x12, 0x4242, 0xffff
        jmp     here_16_done
here_16c:
        clts
        mov     ax, [task16]
        mov     [result], ax
        mov     eax, 0x4242
        iretd
here_16e:
here_16_done:
        clts
        case    '16-bit TSS: too small'
        desc    TASK16, abs(task16), 0x2a, P | 1, 0
        faults  10, TASK16, jmp TASK16:0
        case    '16-bit TSS: no I/O map'
        desc_task16
        mov     word [task16 + 0x0e], here_16u - $$ + 0x8000
        mov     word [task16 + 0x02], 0x7000
        mov     word [task16 + 0x04], KDATA
        mov     word [task16 + 0x22], UDATA
        mov     word [task16 + 0x24], UCODE
        mov     word [task16 + 0x26], UDATA
        mov     word [task16 + 0x28], UDATA
        try
        jmp     TASK16:0
here_16u:
        in      al, PORT_PRESENT
        tried
        is      seen_vector, 13
        is      seen_error, 0
        is      seen_ip, here_16u
        is      seen_handler_sp, 0x7000 - 8
        tss_back
        ret
here_never:
        int     0xff
here_handler:
        pop     dword [result]
        mov     [result + 4], esp
        int     END

        align   16
task32: times   0x68 db 0
        align   16
task16: times   0x2c db 0
        align   16
task_handler:
        times   0x48 db 0
        dd      KDATA, KCODE, KDATA, KDATA, 0, 0, 0, 0x00680000
