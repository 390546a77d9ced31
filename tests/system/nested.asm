; SPDX-License-Identifier: GPL-2.0-or-later
; Exceptions while another is delivered: each class against each, by SDM 3A table 6-5. A first
; exception at level 3 goes to a gate that is made to fail in one of five ways.
%include "common.inc"

%define CODE1           (T0 + 1)        ; level 1, flat
%define STACK1          (T1 + 1)
%define ABSENT          T2              ; a data segment, not present
%define ABSENT_STACK    (T3 + 1)        ; a stack of level 1, not present
%define PD32            PLAY
%define HOLE            0x800000        ; no page
%define SUPERVISOR      0xc00000        ; a page of level 0

        bits    32
level1: int     END

; The way the gate of vector %1 fails.
%macro fail_np 1
        gate    idt_entry(%1), KCODE, abs(stubs32) + (%1) * 16, 0x6e
%endmacro
%macro fail_gp 1
        gate    idt_entry(%1), KCODE, abs(stubs32) + (%1) * 16, 0xe0
%endmacro
%macro fail_ts 1
        mov     dword [tss + 16], 1
        gate    idt_entry(%1), CODE1, abs(level1), 0xee
%endmacro
%macro fail_ss 1
        mov     dword [tss + 16], ABSENT_STACK
        gate    idt_entry(%1), CODE1, abs(level1), 0xee
%endmacro
%macro fail_pf 1
        mov     dword [tss + 12], HOLE + 0x1000
        mov     dword [tss + 16], STACK1
        gate    idt_entry(%1), CODE1, abs(level1), 0xee
%endmacro
; What the second exception says: its vector and error code. All have EXT but the page fault, which is
; a write at level 1.
%define vector_np       11
%define vector_gp       13
%define vector_ts       10
%define vector_ss       12
%define vector_pf       14
%define error_np(n)     ((n) * 8 + 3)
%define error_gp(n)     ((n) * 8 + 3)
%define error_ts(n)     1
%define error_ss(n)     (ABSENT_STACK & ~3) + 1
%define error_pf(n)     2

; nested NAME, VECTOR, WAY, CLASS; the first exception comes of the instructions of macro first_NAME.
; CLASS: 0 benign, 1 contributory, 2 page fault.
%macro nested 4
%defstr first_name %1
%defstr way_name %3
%strcat full 'From #', first_name, ' into #', way_name
        case    full
        fail_%3 %2
        try
        to_user
%%first:
        first_%1
        int     END
        tried
%ifidn %3, pf
%assign second 2
%else
%assign second 1
%endif
%if (%4 == 1 && second == 1) || %4 == 2
        is      seen_vector, 8
        is      seen_error, 0
%else
        is      seen_vector, vector_%3
        is      seen_error, error_%3(%2)
%endif
        is      seen_cs, UCODE
        is      seen_ss, UDATA
        is      seen_sp, USTACK
        restore_gate %2
        ; and if #DF's own gate fails, or that of the second exception when it was no double fault
%strcat full full, ', and #DF fails'
        case    full
        fail_%3 %2
        mov     dword [idt_entry(8) + 4], 0
        try
        to_user
        first_%1
        int     END
        tried
%if (%4 == 1 && second == 1) || %4 == 2
        is      seen_vector, SHUTDOWN
%else
        is      seen_vector, vector_%3
%endif
        call    paging
        restore_gate %2
        restore_gate 8
%endmacro
%macro ways 3
        nested  %1, %2, np, %3
        nested  %1, %2, gp, %3
        nested  %1, %2, ts, %3
        nested  %1, %2, ss, %3
        nested  %1, %2, pf, %3
%endmacro

%macro first_DE 0
        xor     ecx, ecx
        div     ecx
%endmacro
%macro first_BR 0
        mov     dword [SCRATCH], 0
        mov     dword [SCRATCH + 4], 0
        mov     eax, 1
        bound   eax, [SCRATCH]
%endmacro
%macro first_UD 0
        ud2
%endmacro
%macro first_NM 0
        fldz
%endmacro
%macro first_NP 0
        mov     eax, ABSENT + 3
        mov     fs, ax
%endmacro
%macro first_GP 0
        hlt
%endmacro
%macro first_PF 0
        mov     eax, [SUPERVISOR]
%endmacro
%macro first_AC 0
        mov     eax, [SCRATCH + 1]
%endmacro

paging: mov     eax, cr4
        or      eax, 0x10               ; PSE
        mov     cr4, eax
        mov     eax, PD32
        mov     cr3, eax
        mov     eax, cr0
        or      eax, 0x80040008         ; PG, AM, TS
        mov     cr0, eax
        ret

main:   desc    CODE1, 0, 0xfffff, P | DPL(1) | CODE, FLAT
        desc    STACK1, 0, 0xfffff, P | DPL(1) | DATA, FLAT
        desc    ABSENT, 0, 0xfffff, DPL(3) | DATA, FLAT
        desc    ABSENT_STACK, 0, 0xfffff, DPL(1) | DATA, FLAT
        mov     edi, PD32
        xor     eax, eax
        mov     ecx, 0x400
        rep     stosd
        mov     dword [PD32], 0x87
        mov     dword [PD32 + (SUPERVISOR >> 22) * 4], 0x83
        call    paging
        ways    DE, 0, 1
        ways    BR, 5, 0
        ways    UD, 6, 0
        ways    NM, 7, 0
        ways    NP, 11, 1
        ways    GP, 13, 1
        ways    PF, 14, 2
        mov     dword [user_flags], 0x40002
        ways    AC, 17, 0
        mov     dword [user_flags], 2
        mov     eax, cr0
        and     eax, 0x7ffbfff7
        mov     cr0, eax
        ret
