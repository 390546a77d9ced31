; SPDX-License-Identifier: GPL-2.0-or-later
; Segment loads and accesses in protected mode, and what asks about descriptors. SDM 3A chapters 3
; and 5; SDM 2 MOV, LAR, LSL, VERR, ARPL, SGDT.
%include "common.inc"

; selector_faults VECTOR, SELECTOR[, ERROR]: MOV DS, AX raises it; the error code is the selector.
%macro ds_faults 2
        mov     ax, %2
        faults  %1, (%2) & 0xfffc, mov ds, ax
%endmacro
%macro ds_fine 1
        mov     ax, %1
        fine    mov es, ax
        mov     ax, KDATA
        mov     es, ax
%endmacro
%macro ss_faults 2
        mov     ax, %2
        faults  %1, (%2) & 0xfffc, mov ss, ax
%endmacro

main:
        case    'MOV DS: null, and its use'
        xor     eax, eax
        fine    mov es, ax
        mov     ax, 3
        fine    mov es, ax
        faults  13, 0, mov eax, [es:SCRATCH]
        case    'MOV ES: use of a null FS by store'
        xor     eax, eax
        mov     fs, ax
        faults  13, 0, mov [fs:SCRATCH], eax
        case    'MOV DS: outside the GDT'
        ds_faults 13, 0x200
        ds_faults 13, 0xfff8
        case    'MOV DS: LDT without LDTR'
        xor     eax, eax
        lldt    ax
        ds_faults 13, 0x0c
        case    'MOV DS: system segment'
        ds_faults 13, TSS
        case    'MOV DS: code without read'
        desc    T0, 0, 0xfffff, P | 0x18, FLAT
        ds_faults 13, T0
        case    'MOV DS: readable code'
        ds_fine KCODE
        case    'MOV DS: not present'
        desc    T0, 0, 0xfffff, DATA, FLAT
        ds_faults 11, T0
        case    'MOV DS: RPL above DPL'
        ds_faults 13, KDATA | 1
        ds_faults 13, KDATA | 3
        case    'MOV DS: DPL above RPL'
        ds_fine UDATA
        ds_fine UDATA & ~3
        case    'MOV DS at level 3: DPL 0'
        mov     ax, KDATA
        user_faults 13, KDATA, mov es, ax
        case    'MOV DS at level 3: conforming code of level 0'
        desc    T0, 0, 0xfffff, P | CODE | 4, FLAT
        try
        to_user
        mov     ax, T0 | 3
        mov     es, ax
        mov     ecx, [es:SCRATCH]
        int     END
        tried
        is      seen_vector, END
        is      seen_es, T0 | 3
        case    'MOV DS: privilege before presence'
        desc    T0, 0, 0xfffff, DATA, FLAT
        ds_faults 13, T0 | 3
        case    'MOV DS sets accessed'
        desc    T0, 0, 0xfffff, P | DATA, FLAT
        ds_fine T0
        is      gdt + T0 + 4, 0x00cf9300
        case    'A failed load sets nothing'
        desc    T0, 0, 0xfffff, DATA, FLAT
        mov     ax, UDATA
        mov     es, ax
        mov     ax, T0
        faults  11, T0, mov es, ax
        is      seen_es, UDATA
        is      gdt + T0 + 4, 0x00cf1200

        case    'MOV SS: null'
        ss_faults 13, 0
        ss_faults 13, 3
        case    'MOV SS: outside the GDT'
        ss_faults 13, 0x200
        case    'MOV SS: RPL'
        ss_faults 13, KDATA | 1
        case    'MOV SS: DPL'
        ss_faults 13, UDATA & ~3
        ss_faults 13, UDATA
        case    'MOV SS: code'
        ss_faults 13, KCODE
        case    'MOV SS: read-only data'
        desc    T0, 0, 0xfffff, P | 0x10, FLAT
        ss_faults 13, T0
        case    'MOV SS: not present'
        desc    T0, 0, 0xfffff, DATA, FLAT
        ss_faults 12, T0
        case    'POP SS: not present leaves ESP'
        mov     dword [result], 0
        push    dword T0
        mov     [result], esp
        try
here_pop:
        pop     ss
        tried
        is      seen_vector, 12
        is      seen_error, T0
        is      seen_ip, here_pop
        pop     eax
        case    'LSS: checks as MOV SS'
        mov     dword [SCRATCH], 0x1000
        mov     dword [SCRATCH + 4], UDATA
        faults  13, UDATA & ~3, lss ebx, [SCRATCH]
        case    'LES loads both'
        mov     dword [SCRATCH + 4], UDATA
        les     ebx, [SCRATCH]
        reg_is  ebx, 0x1000
        mov     ecx, es
        reg_is  ecx, UDATA
        mov     ax, KDATA
        mov     es, ax
        case    'LDS: #GP leaves the register'
        mov     dword [SCRATCH + 4], 0x200
        mov     ebx, 0x1111
        faults  13, 0x200, lfs ebx, [SCRATCH]
        is      seen_ebx, 0x1111

        ; limits
        case    'Limit: bytes'
        desc    T0, SCRATCH, 0xfff, P | DATA, SMALL32
        mov     ax, T0
        mov     fs, ax
        fine    mov al, [fs:0xfff]
        mov     ax, T0
        mov     fs, ax
        faults  13, 0, mov al, [fs:0x1000]
        mov     ax, T0
        mov     fs, ax
        faults  13, 0, mov ax, [fs:0xfff]
        mov     ax, T0
        mov     fs, ax
        fine    mov eax, [fs:0xffc]
        mov     ax, T0
        mov     fs, ax
        faults  13, 0, mov [fs:0xffd], eax
        case    'Limit: an access that wraps at 4 GiB'
        mov     ax, T0
        mov     fs, ax
        faults  13, 0, mov eax, [fs:0xfffffffe]
        case    'Limit: the segment adds its base'
        mov     ax, T0
        mov     fs, ax
        mov     dword [SCRATCH + 0x10], 0x600df00d
        mov     eax, [fs:0x10]
        reg_is  eax, 0x600df00d
        case    'Limit: pages'
        desc    T0, SCRATCH, 1, P | DATA, FLAT
        mov     ax, T0
        mov     fs, ax
        fine    mov al, [fs:0x1fff]
        mov     ax, T0
        mov     fs, ax
        faults  13, 0, mov al, [fs:0x2000]
        case    'Limit: string destination'
        desc    T0, SCRATCH, 0xf, P | DATA, SMALL32
        mov     ax, T0
        mov     es, ax
        mov     edi, 8
        mov     ecx, 4
        xor     eax, eax
        try
        rep stosd
        tried
        is      seen_vector, 13
        is      seen_edi, 16
        is      seen_ecx, 2
        case    'Limit: SSE'
        desc    T0, SCRATCH, 0xfff, P | DATA, SMALL32
        mov     eax, cr4
        or      eax, 0x200
        mov     cr4, eax
        mov     ax, T0
        mov     fs, ax
        fine    movups xmm0, [fs:0xff0]
        mov     ax, T0
        mov     fs, ax
        faults  13, 0, movups xmm0, [fs:0xff1]
        case    'Base wraps at 4 GiB'
        desc    T0, 0xffff0000, 0xfffff, P | DATA, FLAT
        mov     ax, T0
        mov     fs, ax
        mov     dword [SCRATCH], 0x12345678
        mov     eax, [fs:SCRATCH + 0x10000]
        reg_is  eax, 0x12345678
        case    'Expand-down, 16 bits'
        desc    T0, 0, 0x0fff, P | DATA | 4, SMALL16
        mov     ax, T0
        mov     fs, ax
        faults  13, 0, mov al, [fs:0xfff]
        mov     ax, T0
        mov     fs, ax
        faults  13, 0, mov eax, [fs:0xffe]
        mov     ax, T0
        mov     fs, ax
        fine    mov al, [fs:0x1000]
        mov     ax, T0
        mov     fs, ax
        fine    mov al, [fs:0xffff]
        mov     ax, T0
        mov     fs, ax
        faults  13, 0, mov al, [fs:0x10000]
        mov     ax, T0
        mov     fs, ax
        faults  13, 0, mov ax, [fs:0xffff]
        case    'Expand-down, 32 bits'
        desc    T0, 0, 0x00fff, P | DATA | 4, SMALL32
        mov     ax, T0
        mov     fs, ax
        faults  13, 0, mov al, [fs:0xfff]
        mov     ax, T0
        mov     fs, ax
        fine    mov al, [fs:SCRATCH]
        case    'Expand-down, pages'
        desc    T0, 0, 0x0000f, P | DATA | 4, FLAT
        mov     ax, T0
        mov     fs, ax
        faults  13, 0, mov al, [fs:0xffff]
        mov     ax, T0
        mov     fs, ax
        fine    mov al, [fs:0x10000]
        case    'Write to read-only data'
        desc    T0, 0, 0xfffff, P | 0x10, FLAT
        mov     ax, T0
        mov     fs, ax
        fine    mov al, [fs:SCRATCH]
        mov     ax, T0
        mov     fs, ax
        faults  13, 0, mov [fs:SCRATCH], al
        mov     ax, T0
        mov     fs, ax
        faults  13, 0, add [fs:SCRATCH], al
        case    'Write to code'
        faults  13, 0, mov [cs:SCRATCH], al
        case    'Read of code that only executes'
        desc    T0, 0, 0xfffff, P | 0x18, FLAT
        try
        jmp     T0:here_xo
here_xo:    mov     al, [cs:SCRATCH]
        tried
        is      seen_vector, 13
        is      seen_error, 0
        is      seen_ip, here_xo
        case    'SS: limit raises #SS(0)'
        desc    T0, 0, 0x8ffff, P | DATA, SMALL32
        desc    T1, 0, 0x8ffff, P | DATA, SMALL32
        mov     ax, T1
        mov     ebx, SCRATCH
        try
        mov     ss, ax
here_ssl:   mov     eax, [ss:ebx]
        tried
        is      seen_vector, 12
        is      seen_error, 0
        is      seen_ip, here_ssl
        case    'SS: EBP based'
        mov     ebp, SCRATCH
        fine    mov eax, [ebp]
        mov     ax, T1
        try
        mov     ss, ax
        mov     eax, [ebp]
        tried
        is      seen_vector, 12
        case    'PUSH: beyond the limit leaves ESP'
        mov     ax, T1
        try
        mov     ss, ax
        push    dword [ss:SCRATCH]
        tried
        is      seen_vector, 12
        ; 16-bit stack
        case    '16-bit stack: SP wraps, the upper half of ESP stays'
        mov     ax, KDATA16
        mov     dword [0xfffc], 0
        try
        mov     esp, 0x12340000
        mov     ss, ax
        push    dword 0x55667788
        mov     [result], esp
        mov     ax, KDATA
        mov     ss, ax
        mov     esp, [resume_sp]
        tried
        is      seen_vector, NOTHING
        is      result, 0x1234fffc
        is      0xfffc, 0x55667788

        ; LDT
        case    'LLDT: not an LDT'
        mov     ax, TSS
        faults  13, TSS, lldt ax
        case    'LLDT: local'
        mov     ax, 4
        faults  13, 4, lldt ax
        case    'LLDT: outside'
        mov     ax, 0x200
        faults  13, 0x200, lldt ax
        case    'LLDT: not present'
        desc    T0, abs(ldt), 31, 2, 0
        mov     ax, T0
        faults  11, T0, lldt ax
        case    'LLDT at level 3'
        user_faults 13, 0, lldt ax
        case    'Local descriptors'
        mov     ax, LDT
        lldt    ax
        mov     dword [ldt + 8], 0x0000ffff | (SCRATCH & 0xffff) << 16
        mov     dword [ldt + 12], 0x00409200 | (SCRATCH >> 16)
        mov     dword [SCRATCH + 0x20], 0xabcd
        mov     ax, 0x0c
        mov     fs, ax
        mov     eax, [fs:0x20]
        reg_is  eax, 0xabcd
        ds_faults 13, 0x24              ; beyond its limit
        sldt    eax
        reg_is  eax, LDT, 0xffff
        case    'Selector 4 is not null'
        mov     dword [ldt], 0x0000ffff
        mov     dword [ldt + 4], 0x00cf9200
        mov     ax, 4
        fine    mov fs, ax

        case    'LTR: null'
        xor     eax, eax
        faults  13, 0, ltr ax
        case    'LTR: busy'
        mov     ax, TSS
        faults  13, TSS, ltr ax
        case    'LTR: not a TSS'
        mov     ax, LDT
        faults  13, LDT, ltr ax
        case    'LTR: local'
        mov     ax, 0x0c
        faults  13, 0x0c, ltr ax
        case    'LTR: not present'
        desc    T0, abs(tss), 103, 9, 0
        mov     ax, T0
        faults  11, T0, ltr ax
        case    'LTR marks busy'
        desc    T0, abs(tss), tss_end - tss - 1, P | 9, 0
        mov     ax, T0
        ltr     ax
        is      gdt + T0 + 4, 0x00008b00
        str     ax
        movzx   eax, ax
        reg_is  eax, T0
        desc    TSS, abs(tss), tss_end - tss - 1, P | 9, 0
        mov     ax, TSS
        ltr     ax
        case    'LTR at level 3'
        user_faults 13, 0, ltr ax

        ; LAR, LSL, VERR, VERW
%macro lar_is 2
        mov     eax, -1
        mov     ecx, %1
        lar     eax, ecx
        setz    bl
        movzx   ebx, bl
        reg_is  ebx, 1
        reg_is  eax, %2, 0xf0ff00
%endmacro
%macro lar_fails 1
        mov     eax, 0x1234
        mov     ecx, %1
        lar     eax, ecx
        setz    bl
        movzx   ebx, bl
        reg_is  ebx, 0
        reg_is  eax, 0x1234
%endmacro
        case    'LAR: segments'
        lar_is  KCODE, 0xc09b00
        lar_is  KDATA, 0xc09300
        lar_is  UCODE, 0xc0fb00
        lar_is  KDATA16, 0x009300
        case    'LAR: not present is seen'
        desc    T0, 0, 0xfffff, DATA, FLAT
        lar_is  T0, 0xc01200
        case    'LAR: null, outside, privilege'
        lar_fails 0
        lar_fails 0x200
        lar_fails KDATA | 3
        case    'LAR: conforming ignores privilege'
        desc    T0, 0, 0xfffff, P | CODE | 4, FLAT
        lar_is  T0 | 3, 0xc09e00
        case    'LAR: system types'
%assign t 0
%rep 16
        desc    T0, 0, 0, P | t, 0
%if t == 1 || t == 2 || t == 3 || t == 4 || t == 5 || t == 9 || t == 11 || t == 12
        lar_is  T0, 0x8000 | t << 8
%else
        lar_fails T0
%endif
%assign t t + 1
%endrep
        case    'LSL'
        mov     ecx, KDATA
        lsl     eax, ecx
        reg_is  eax, 0xffffffff
        desc    T0, 0, 0x12345, P | DATA, SMALL32
        mov     ecx, T0
        lsl     eax, ecx
        reg_is  eax, 0x12345
        desc    T0, 0, 0x12345, P | DATA, FLAT
        lsl     eax, ecx
        reg_is  eax, 0x12345fff
        case    'LSL: system types'
%assign t 0
%rep 16
        desc    T0, 0, 0x67, P | t, 0
        mov     ecx, T0
        mov     eax, 0x1234
        lsl     eax, ecx
%if t == 1 || t == 2 || t == 3 || t == 9 || t == 11
        reg_is  eax, 0x67
%else
        reg_is  eax, 0x1234
%endif
%assign t t + 1
%endrep
%macro verify 3                         ; selector, VERR's ZF, VERW's ZF
        mov     ecx, %1
        verr    cx
        setz    al
        movzx   eax, al
        reg_is  eax, %2
        verw    cx
        setz    al
        movzx   eax, al
        reg_is  eax, %3
%endmacro
        case    'VERR, VERW'
        verify  KDATA, 1, 1
        verify  KCODE, 1, 0
        verify  0, 0, 0
        verify  KDATA | 3, 0, 0
        verify  TSS, 0, 0
        verify  0x200, 0, 0
        desc    T0, 0, 0xfffff, P | 0x10, FLAT
        verify  T0, 1, 0
        desc    T0, 0, 0xfffff, P | 0x18, FLAT
        verify  T0, 0, 0
        desc    T0, 0, 0xfffff, P | CODE | 4, FLAT
        verify  T0 | 3, 1, 0
        desc    T0, 0, 0xfffff, P | 0x1c, FLAT ; conforming, not readable
        verify  T0 | 3, 0, 0
        case    'VERR at level 3'
        try
        to_user
        mov     ax, KDATA
        verr    ax
        setz    cl
        mov     ax, UDATA
        verr    ax
        setz    ch
        int     END
        tried
        is      seen_ecx, 0x100, 0xffff
        case    'ARPL'
        mov     ax, 0x10
        mov     cx, 0x23
        arpl    ax, cx
        setz    bl
        movzx   ebx, bl
        reg_is  ebx, 1
        movzx   eax, ax
        reg_is  eax, 0x13
        mov     ax, 0x13
        mov     cx, 0x21
        arpl    ax, cx
        setz    bl
        movzx   ebx, bl
        reg_is  ebx, 0
        movzx   eax, ax
        reg_is  eax, 0x13

        case    'SGDT, SIDT, SLDT, STR, SMSW at level 3 without UMIP'
        user_fine sgdt [SCRATCH]
        is      SCRATCH, GDT_LIMIT, 0xffff
        is      SCRATCH + 2, gdt
        user_fine sidt [SCRATCH]
        is      SCRATCH, 0x7ff, 0xffff
        is      SCRATCH + 2, idt
        user_fine sldt ax
        user_fine str ax
        user_fine smsw ax
        case    'UMIP: #GP at level 3'
        mov     eax, cr4
        or      eax, 0x800
        mov     cr4, eax
        user_faults 13, 0, sgdt [SCRATCH]
        user_faults 13, 0, sidt [SCRATCH]
        user_faults 13, 0, sldt ax
        user_faults 13, 0, str ax
        user_faults 13, 0, smsw ax
        case    'UMIP: not at level 0'
        fine    sgdt [SCRATCH]
        fine    smsw ax
        mov     eax, cr4
        and     eax, ~0x800
        mov     cr4, eax
        case    'LGDT with a 16-bit operand: 24 bits of base'
        sgdt    [result]
        mov     word [SCRATCH], GDT_LIMIT
        mov     dword [SCRATCH + 2], 0xff000000 | (gdt - $$ + 0x8000)
        o16 lgdt [SCRATCH]
        sgdt    [SCRATCH]
        is      SCRATCH + 2, gdt
        lgdt    [gdtr]
        case    'SMSW, LMSW'
        mov     eax, cr0
        mov     ebx, eax
        smsw    eax
        reg_is  eax, ebx, 0xffff
        mov     ax, 8                   ; TS; clears MP and EM, cannot clear PE
        lmsw    ax
        mov     eax, cr0
        reg_is  eax, 9, 0xf
        clts
        case    'Privileged at level 3'
        user_faults 13, 0, lgdt [SCRATCH]
        user_faults 13, 0, lidt [SCRATCH]
        user_faults 13, 0, lmsw ax
        user_faults 13, 0, clts
        user_faults 13, 0, hlt
        user_faults 13, 0, invd
        user_faults 13, 0, wbinvd
        user_faults 13, 0, invlpg [SCRATCH]
        user_faults 13, 0, mov eax, cr0
        user_faults 13, 0, mov cr3, eax
        user_faults 13, 0, mov eax, dr7
        user_faults 13, 0, mov dr0, eax
        user_faults 13, 0, rdmsr
        user_faults 13, 0, wrmsr
        user_faults 13, 0, cli
        user_faults 13, 0, sti
        ret
