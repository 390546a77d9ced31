; SPDX-License-Identifier: GPL-2.0-or-later
; The stack of an inner level, from TSSs of 32 and of 16 bits: what is checked, with which error, by an
; interrupt and by a call gate. SDM 3A 5.8.5, 6.12.1; SDM 2A CALL, INT n.
%include "common.inc"

%define CODE1           (T0 + 1)        ; level 1, flat
%define STACK1          (T1 + 1)        ; its stack
%define BAD             T2              ; a stack that is not
%define CALL1           (T3 + 3)        ; a gate to level 1
%define TSSX            T4              ; the TSS under test
%define STACK1_TOP      (SCRATCH + 0x1000)

        align   16
tssx:   times   104 db 0

        bits    32
; Level 1's code: that it was reached, and on which stack.
level1: mov     eax, ss
        mov     ebx, esp
        int     END

; The entry of level 1 in a TSS of %1 bits: SS, SP.
%macro set_stack1 3
%if %1 == 32
        mov     dword [tssx + 12], %3
        mov     dword [tssx + 16], %2
%else
        mov     word [tssx + 6], (%3) & 0xffff
        mov     word [tssx + 8], %2
%endif
%endmacro

; From level 3 into level 1 by INT 0x81 and by a call: both fault.
%macro inner_faults 2
        %push   attempt
        mov     dword [resume], %$end
        mov     [resume_sp], esp
        mov     dword [seen_vector], NOTHING
        to_user
%$start:
        int     0x81
%$end:
        is      seen_vector, %1
        is      seen_error, %2
        is      seen_ip, %$start
        is      seen_cs, UCODE
        is      seen_ss, UDATA
        is      seen_sp, USTACK
        mov     dword [resume], %$end2
        mov     dword [seen_vector], NOTHING
        to_user
%$start2:
        call    CALL1:0
%$end2:
        is      seen_vector, %1
        is      seen_error, %2
        is      seen_ip, %$start2
        is      seen_cs, UCODE
        is      seen_sp, USTACK
        %pop
%endmacro

%macro load_tss 2                       ; bits, limit
        desc    TSSX, abs(tssx), %2, P | (%1 == 32 ? 9 : 1), 0
        mov     ax, TSSX
        ltr     ax
%endmacro

%macro battery 1
%defstr bits_name %1
%macro named 1+
%strcat full bits_name, '-bit TSS: ', %1
        case    full
%endmacro
%if %1 == 32
        mov     dword [tssx + 4], ISTACK
        mov     dword [tssx + 8], KDATA
%else
        mov     word [tssx + 2], STACK16
        mov     word [tssx + 4], KDATA
%endif
        load_tss %1, 103
        desc    STACK1, 0, 0xfffff, P | DPL(1) | DATA, FLAT
        set_stack1 %1, STACK1, STACK1_TOP
        named   'a good stack'
%if %1 == 16
        desc    STACK1, SCRATCH & ~0xffff, 0xffff, P | DPL(1) | DATA, SMALL16
        set_stack1 %1, STACK1, STACK1_TOP & 0xffff
%endif
        try
        to_user
        int     0x81
        tried
        is      seen_vector, END
        is      seen_cs, CODE1
        is      seen_eax, STACK1, 0xffff
        is      seen_ebx, STACK1_TOP - 20, 0xffff
        try
        to_user
        call    CALL1:0
        tried
        is      seen_vector, END
        is      seen_cs, CODE1
        is      seen_ebx, STACK1_TOP - 16, 0xffff
        named   'the pointer beyond the limit'
        load_tss %1, (%1 == 32 ? 17 - 1 : 9 - 1)
        inner_faults 10, TSSX
        load_tss %1, (%1 == 32 ? 17 - 6 : 9 - 4)
        inner_faults 10, TSSX
        named   'the pointer just inside'
        load_tss %1, (%1 == 32 ? 17 : 9)
        try
        to_user
        int     0x81
        tried
        is      seen_vector, END
        is      seen_cs, CODE1
        load_tss %1, 103
        named   'SS null'
        set_stack1 %1, 0, STACK1_TOP & 0xffff
        inner_faults 10, 0
        set_stack1 %1, 1, STACK1_TOP & 0xffff
        inner_faults 10, 0
        named   'SS outside the GDT, in no LDT'
        set_stack1 %1, (GDT_LIMIT + 1 + 1), STACK1_TOP & 0xffff
        inner_faults 10, GDT_LIMIT + 1
        set_stack1 %1, (8 + 4 + 1), STACK1_TOP & 0xffff
        inner_faults 10, 8 + 4
        named   'SS with another RPL'
        set_stack1 %1, T1, STACK1_TOP & 0xffff
        inner_faults 10, T1
        set_stack1 %1, (T1 + 2), STACK1_TOP & 0xffff
        inner_faults 10, T1
        named   'SS of another level'
        desc    BAD, 0, 0xfffff, P | DPL(0) | DATA, FLAT
        set_stack1 %1, (BAD + 1), STACK1_TOP & 0xffff
        inner_faults 10, BAD
        desc    BAD, 0, 0xfffff, P | DPL(2) | DATA, FLAT
        inner_faults 10, BAD
        named   'SS read-only, code, a system segment'
        desc    BAD, 0, 0xfffff, P | DPL(1) | 0x10, FLAT
        inner_faults 10, BAD
        desc    BAD, 0, 0xfffff, P | DPL(1) | CODE, FLAT
        inner_faults 10, BAD
        desc    BAD, 0, 0xfffff, P | DPL(1) | 2, FLAT
        inner_faults 10, BAD
        named   'SS not present: #SS; the checks before it go first'
        desc    BAD, 0, 0xfffff, DPL(1) | DATA, FLAT
        inner_faults 12, BAD
        desc    BAD, 0, 0xfffff, DPL(1) | CODE, FLAT
        inner_faults 10, BAD
        named   'no room on the stack'
        desc    BAD, SCRATCH, 0xfff, P | DPL(1) | DATA, SMALL16
        set_stack1 %1, (BAD + 1), 0xc
        inner_faults 12, BAD
        set_stack1 %1, (BAD + 1), 0x2000
        inner_faults 12, BAD
        desc    BAD, SCRATCH, 0xfff, P | DPL(1) | DATA | 4, SMALL16 ; expand-down
        set_stack1 %1, (BAD + 1), 0x1008
        inner_faults 12, BAD
        named   'an interrupt from outside: EXT'
        in      al, PORT_PRESENT
        cmp     al, 0x5a
        jne     %%no_ports
        set_stack1 %1, 1, 0x1000
        mov     dword [user_flags], 0x3202
        try
        to_user
        mov     al, 0x81
        out     PORT_INTR, al
        nop
        tried
        mov     dword [user_flags], 2
        is      seen_vector, 10
        is      seen_error, 1
        is      seen_cs, UCODE
%%no_ports:
%unmacro named 1+
%endmacro

main:   desc    CODE1, 0, 0xfffff, P | DPL(1) | CODE, FLAT
        gate    idt_entry(0x81), CODE1, abs(level1), 0xee
        gate    gdt + (CALL1 & ~7), CODE1, abs(level1), 0xec
        battery 32
        battery 16
        ret
