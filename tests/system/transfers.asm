; SPDX-License-Identifier: GPL-2.0-or-later
; Far transfers of protected mode: JMP, CALL, RET, IRET, call gates. SDM 3A 5.8, SDM 2.
%include "common.inc"

%define RPL3_CODE       (KCODE | 3)

; At level 0: a far jump there raises VECTOR with the selector.
%macro jmp_faults 2
        faults  %1, (%2) & 0xfffc, jmp %2:here_never
%endmacro
%macro call_faults 2
        faults  %1, (%2) & 0xfffc, call %2:here_never
%endmacro
%macro user_call_faults 3               ; vector, selector called, error
        user_faults %1, %3, call %2:0
%endmacro

main:
        ; 16-bit protected mode
        case    '16-bit code: pushes, IP and operands'
        try
        jmp     KCODE16:here_16
        bits    16
here_16:
        push    0x1234
        push    dword 0x55667788
        mov     ebx, esp
        mov     eax, 0xffffffff
        mov     ax, 0x1234
        db      0x66
        mov     cx, 0x9abc              ; MOV ECX, with two bytes more
        dw      0xdef0
        int     END
        bits    32
        tried
        is      seen_vector, END
        is      seen_cs, KCODE16
        is      seen_eax, 0xffff1234
        is      seen_ecx, 0xdef09abc
        mov     eax, esp
        sub     eax, 6
        mov     ecx, [seen_ebx]
        reg_is  ecx, eax
        case    '16-bit code at level 3, far CALL and RETF'
        desc    T0, 0, 0xffff, P | CODE | DPL(3), SMALL16
        try
        to_user
        jmp     T0 | 3:here_16u
        bits    16
here_16u:
        call    UCODE:here_16w          ; offset of 16 bits
        mov     bp, cs
        int     END
        bits    32
here_16w:
        mov     ebx, esp
        o16 retf
        tried
        is      seen_vector, END
        is      seen_ebx, USTACK - 4
        is      seen_ebp, T0 | 3, 0xffff
        is      seen_cs, T0 | 3

        ; direct transfers
        case    'JMP, CALL: null'
        jmp_faults 13, 0
        call_faults 13, 0
        case    'JMP, CALL: outside the GDT'
        jmp_faults 13, 0x200
        call_faults 13, 0x208
        case    'JMP, CALL: data'
        jmp_faults 13, KDATA
        call_faults 13, KDATA
        case    'JMP, CALL: DPL 3 from level 0'
        jmp_faults 13, UCODE & ~3
        jmp_faults 13, UCODE
        call_faults 13, UCODE
        case    'JMP, CALL: RPL above CPL'
        jmp_faults 13, RPL3_CODE
        call_faults 13, RPL3_CODE
        case    'JMP, CALL: system segment'
        jmp_faults 13, LDT
        call_faults 13, LDT
        case    'JMP, CALL: not present'
        desc    T0, 0, 0xfffff, CODE, FLAT
        jmp_faults 11, T0
        call_faults 11, T0
        case    'JMP, CALL: beyond the limit is #GP(0)'
        desc    T0, 0, 0xff, P | CODE, SMALL32
        faults  13, 0, jmp T0:0x100
        faults  13, 0, call T0:0x100
        case    'CALL: a fault leaves ESP'
        mov     [result], esp
        faults  13, 0, call T0:0x100
        mov     eax, [seen_sp]
        mov     ecx, esp
        reg_is  eax, ecx
        case    'JMP at level 3 to level 0'
        user_faults 13, KCODE, jmp KCODE:0
        case    'JMP, CALL: conforming keeps the level'
        desc    T0, 0, 0xfffff, P | CODE | 4, FLAT
        try
        to_user
        jmp     T0:here_conf
here_conf:
        int     END
        tried
        is      seen_vector, END
        is      seen_cs, T0 | 3
        case    'CALL, RETF: conforming'
        try
        to_user
        call    T0:here_conf2
        jmp     here_conf3
here_conf2:
        mov     ebx, cs
        retf
here_conf3:
        mov     ecx, cs
        int     END
        tried
        is      seen_vector, END
        is      seen_ebx, T0 | 3
        is      seen_ecx, UCODE
        case    'JMP: conforming of an outer level'
        desc    T0, 0, 0xfffff, P | CODE | 4 | DPL(3), FLAT
        jmp_faults 13, T0
        case    'JMP sets accessed'
        desc    T0, 0, 0xfffff, P | CODE, FLAT
        jmp     T0:here_acc
here_acc:
        is      gdt + T0 + 4, 0x00cf9b00
        case    'CS keeps CPL as its RPL'
        mov     eax, cs
        reg_is  eax, T0
        jmp     KCODE:here_acc2
here_acc2:
        case    'JMP, CALL through memory'
        mov     dword [SCRATCH], here_ind
        mov     word [SCRATCH + 4], KCODE
        mov     eax, esp
        call    far [SCRATCH]
        jmp     here_ind2
here_ind:
        pop     dword [result]
        pop     dword [result + 4]
        push    dword [result + 4]
        push    dword [result]
        retf
here_ind2:
        is      result + 4, KCODE
        mov     ecx, esp
        reg_is  eax, ecx

        ; near branches
        case    'Near JMP beyond the limit faults at the branch'
        desc    T0, 0, 0xffff, P | CODE, SMALL32
        try
        jmp     T0:here_near
here_near:
        jmp     0x20000
        tried
        is      seen_vector, 13
        is      seen_error, 0
        is      seen_ip, here_near
        case    'Near CALL beyond the limit'
        try
        jmp     T0:here_near2
here_near2:
        call    0x20000
        tried
        is      seen_vector, 13
        is      seen_ip, here_near2
        mov     eax, [seen_sp]
        mov     ecx, esp
        reg_is  eax, ecx
        case    'Near RET beyond the limit'
        push    dword 0x20000
        try
        jmp     T0:here_near3
here_near3:
        ret
        tried
        is      seen_vector, 13
        is      seen_ip, here_near3
        mov     eax, [seen_sp]
        mov     ecx, esp
        reg_is  eax, ecx
        pop     eax
        case    'Near JMP through a register'
        mov     eax, 0x10000
        try
        jmp     T0:here_near4
here_near4:
        jmp     eax
        tried
        is      seen_vector, 13
        is      seen_ip, here_near4
        case    'Running over the limit'
        mov     dword [0xfffc], 0x90909090
        try
        jmp     T0:0xfffe
        tried
        is      seen_vector, 13
        is      seen_error, 0
        is      seen_ip, 0x10000
        case    'An instruction across the limit'
        mov     dword [0xfffc], 0xb8909090
        try
        jmp     T0:0xfffe
        tried
        is      seen_vector, 13
        is      seen_ip, 0xffff
        case    'Near JMP with a 16-bit operand cuts EIP'
        mov     byte [0x600], 0xcd      ; int END
        mov     byte [0x601], END
        try
        mov     eax, 0x12340600
        db      0x66
        jmp     eax
        tried
        is      seen_vector, END
        is      seen_ip, 0x602

        ; RETF
%macro retf_faults 3                    ; vector, error, selector
        push    dword %3
        push    dword here_never
        faults  %1, %2, retf
        mov     eax, [seen_sp]
        mov     ecx, esp
        reg_is  eax, ecx
        add     esp, 8
%endmacro
        case    'RETF: null'
        retf_faults 13, 0, 0
        retf_faults 13, 0, 3
        case    'RETF: outside the GDT'
        retf_faults 13, 0x200, 0x200
        case    'RETF: data'
        retf_faults 13, KDATA, KDATA
        case    'RETF: RPL is not DPL'
        retf_faults 13, KCODE, KCODE | 1
        retf_faults 13, UCODE & ~3, UCODE & ~3
        case    'RETF: conforming of a lower level'
        desc    T0, 0, 0xfffff, P | CODE | 4 | DPL(2), FLAT
        retf_faults 13, T0, T0 | 1
        case    'RETF: not present'
        desc    T0, 0, 0xfffff, CODE, FLAT
        retf_faults 11, T0, T0
        case    'RETF: beyond the limit'
        desc    T0, 0, 0xff, P | CODE, SMALL32
        retf_faults 13, 0, T0
        case    'RETF: inwards'
        try
        to_user
        push    dword KCODE
        push    dword 0
here_inwards:
        retf
        tried
        is      seen_vector, 13
        is      seen_error, KCODE
        is      seen_ip, here_inwards
%macro retf_ss_faults 3                 ; vector, error, SS selector
        push    dword %3
        push    dword USTACK
        push    dword UCODE
        push    dword here_never
        faults  %1, %2, retf
        add     esp, 16
%endmacro
        case    'RETF outwards: SS null'
        retf_ss_faults 13, 0, 0
        retf_ss_faults 13, 0, 3
        case    'RETF outwards: SS outside the GDT'
        retf_ss_faults 13, 0x200, 0x203
        case    'RETF outwards: RPL and DPL of SS'
        retf_ss_faults 13, UDATA & ~3, UDATA & ~3
        retf_ss_faults 13, KDATA, KDATA | 3
        case    'RETF outwards: SS is code, read-only'
        retf_ss_faults 13, UCODE & ~3, UCODE
        desc    T0, 0, 0xfffff, P | 0x10 | DPL(3), FLAT
        retf_ss_faults 13, T0, T0 | 3
        case    'RETF outwards: SS not present'
        desc    T0, 0, 0xfffff, DATA | DPL(3), FLAT
        retf_ss_faults 12, T0, T0 | 3
        case    'RETF outwards with parameters'
        mov     ax, KDATA
        mov     fs, ax
        mov     ax, UDATA
        mov     gs, ax
        try
        push    dword UDATA
        push    dword USTACK - 64
        push    dword 0x11111111
        push    dword 0x22222222
        push    dword UCODE
        push    dword here_retf
        retf    8
here_retf:
        int     END
        tried
        is      seen_vector, END
        is      seen_cs, UCODE
        is      seen_ss, UDATA
        is      seen_sp, USTACK - 64 + 8
        case    'RETF outwards: inner data segments become null'
        is      seen_ds, 0
        is      seen_es, 0
        is      seen_fs, 0
        is      seen_gs, UDATA

        ; IRET
%macro iret_faults 3
        push    dword 2
        push    dword %3
        push    dword here_never
        faults  %1, %2, iretd
        mov     eax, [seen_sp]
        mov     ecx, esp
        reg_is  eax, ecx
        add     esp, 12
%endmacro
        case    'IRET: CS'
        iret_faults 13, 0, 0
        iret_faults 13, 0x200, 0x200
        iret_faults 13, KDATA, KDATA
        iret_faults 13, KCODE, KCODE | 1
        desc    T0, 0, 0xfffff, CODE, FLAT
        iret_faults 11, T0, T0
        desc    T0, 0, 0xff, P | CODE, SMALL32
        iret_faults 13, 0, T0
%macro iret_ss_faults 3
        push    dword %3
        push    dword USTACK
        push    dword 2
        push    dword UCODE
        push    dword here_never
        faults  %1, %2, iretd
        add     esp, 20
%endmacro
        case    'IRET outwards: SS'
        iret_ss_faults 13, 0, 0
        iret_ss_faults 13, 0x200, 0x203
        iret_ss_faults 13, UDATA & ~3, UDATA & ~3
        iret_ss_faults 13, KDATA, KDATA | 3
        iret_ss_faults 13, UCODE & ~3, UCODE
        desc    T0, 0, 0xfffff, DATA | DPL(3), FLAT
        iret_ss_faults 12, T0, T0 | 3
        case    'IRET: flags at level 0'
        try
        push    dword 0x247fd7 | 0x10000 | 0x80000
        push    dword KCODE
        push    dword here_iret
        and     dword [esp + 8], ~0x4300 ; without NT, TF, IF
        iretd
here_iret:
        pushfd
        pop     dword [result]
        push    dword 2
        popfd
        tried
        is      result, 0x2c3cd7, 0x3f7fd7
        case    'IRET at level 3 changes neither IOPL, IF nor VIF'
        try
        to_user
        push    dword 0x2c3ed7
        push    dword UCODE
        push    dword here_iret3
        iretd
here_iret3:
        int     END
        tried
        is      seen_flags, 0x240cd7
        case    'POPF at level 3 neither'
        try
        to_user
        push    dword 0x2c3ed7
        popfd
        int     END
        tried
        is      seen_flags, 0x240cd7
        case    'POPF with IOPL 3 changes IF, not IOPL'
        mov     dword [user_flags], 0x3002
        try
        to_user
        push    dword 0x0202
        popfd
        int     END
        tried
        is      seen_flags, 0x3202
        mov     dword [user_flags], 2
        case    'CLI, STI with IOPL 3'
        mov     dword [user_flags], 0x3202
        try
        to_user
        cli
        int     END
        tried
        is      seen_flags, 0x3002
        mov     dword [user_flags], 2
        case    'POPF with a 16-bit operand leaves the upper half'
        try
        to_user
        push    dword 0x240002
        popfd
        o16 pushf
        o16 popf
        int     END
        tried
        is      seen_flags, 0x240002
        case    'PUSHF shows neither VM nor RF'
        pushfd
        pop     eax
        reg_is  eax, 0, 0x30000

        ; call gates
        case    'Call gate: more privilege, parameters are copied'
        gate    gdt + T0, KCODE, abs(here_gate), 0xec, 3
        mov     dword [result], 0
        try
        to_user
        push    dword 0x11
        push    dword 0x22
        push    dword 0x33
        call    T0 | 3:0xdeadbeef       ; the offset does not matter
here_after_gate:
        mov     ebx, esp
        int     END
here_gate:
        mov     eax, ds
        mov     ecx, cs
        mov     dx, KDATA
        mov     ds, dx
        mov     [result], ecx
        mov     ecx, ss
        mov     [result + 4], ecx
        mov     [result + 8], esp
        mov     edi, result + 12
        mov     esi, esp
        mov     es, dx
        mov     ecx, 7
        cld
        rep     movsd
        mov     ds, ax
        mov     es, ax
        retf    12
        tried
        is      seen_vector, END
        is      result, KCODE
        is      result + 4, KDATA
        is      result + 8, ISTACK - 28
        is      result + 12, here_after_gate
        is      result + 16, UCODE
        is      result + 20, 0x33
        is      result + 24, 0x22
        is      result + 28, 0x11
        is      result + 32, USTACK - 12
        is      result + 36, UDATA
        is      seen_ebx, USTACK
        is      seen_cs, UCODE
        is      seen_ss, UDATA
        case    'Call gate: 16 bits'
        mov     dword [result], 0
        gate    gdt + T0, KCODE, abs(here_gate16) & 0xffff, 0xe4, 2
        try
        to_user
        push    word 0x44
        push    word 0x55
        call    T0:0
here_gate16:
        mov     ax, KDATA
        mov     ds, ax
        mov     [result], esp
        mov     eax, [esp]
        mov     [result + 4], eax
        mov     eax, [esp + 4]
        mov     [result + 8], eax
        mov     eax, [esp + 8]
        mov     [result + 12], eax
        int     END
        tried
        is      seen_vector, END
        is      result, ISTACK - 12
        is      result + 4, UCODE << 16, 0xffff0000
        is      result + 8, 0x00440055
        is      result + 12, (UDATA << 16) | ((USTACK - 4) & 0xffff)
        case    'Call gate: same level, no copy'
        gate    gdt + T0, KCODE, abs(here_gate_same), 0xec, 3
        mov     ebx, esp
        try
        call    T0:0
here_gate_back:
        jmp     here_gate_out
here_gate_same:
        mov     [result], esp
        mov     eax, [esp]
        mov     [result + 4], eax
        mov     eax, [esp + 4]
        mov     [result + 8], eax
        retf
here_gate_out:
        tried
        is      seen_vector, NOTHING
        sub     ebx, 8
        mov     eax, [result]
        reg_is  eax, ebx
        is      result + 4, here_gate_back
        is      result + 8, KCODE
        case    'Call gate by JMP: same level only'
        gate    gdt + T0, KCODE, abs(here_gate8), 0xec, 3
        try
        jmp     T0:0
here_gate8:
        int     END
        tried
        is      seen_vector, END
        user_faults 13, KCODE, jmp T0:0
        case    'Call gate: privilege of the gate'
        gate    gdt + T0, KCODE, abs(here_gate), 0x8c
        user_faults 13, T0, call T0:0
        gate    gdt + T0, KCODE, abs(here_gate), 0xac
        faults  13, T0, call T0 | 3:0
        case    'Call gate: not present'
        gate    gdt + T0, KCODE, abs(here_gate), 0x6c
        user_faults 11, T0, call T0:0
        case    'Call gate: code selector null'
        gate    gdt + T0, 0, abs(here_gate), 0xec
        user_faults 13, 0, call T0:0
        case    'Call gate: code selector outside the GDT'
        gate    gdt + T0, 0x200, abs(here_gate), 0xec
        user_faults 13, 0x200, call T0:0
        case    'Call gate: data'
        gate    gdt + T0, KDATA, abs(here_gate), 0xec
        user_faults 13, KDATA, call T0:0
        case    'Call gate: outwards'
        gate    gdt + T0, UCODE, abs(here_gate), 0xec
        faults  13, UCODE & ~3, call T0:0
        case    'Call gate: code not present'
        desc    T1, 0, 0xfffff, CODE, FLAT
        gate    gdt + T0, T1, abs(here_gate), 0xec
        user_faults 11, T1, call T0:0
        case    'Call gate: offset beyond the limit'
        desc    T1, 0, 0xfff, P | CODE, SMALL32
        gate    gdt + T0, T1, abs(here_gate), 0xec
        user_faults 13, 0, call T0:0
        case    'Call gate: RPL of its code selector is ignored'
        gate    gdt + T0, KCODE | 3, abs(here_gate5), 0xec
        try
        to_user
        call    T0:0
        int     END
here_gate5:
        mov     ebx, cs
        int     END
        tried
        is      seen_vector, END
        is      seen_ebx, KCODE
        case    'Call gate to conforming code keeps level and stack'
        desc    T1, 0, 0xfffff, P | CODE | 4, FLAT
        gate    gdt + T0, T1, abs(here_gate6), 0xec
        try
        to_user
        call    T0:0
here_gate6:
        int     END
        tried
        is      seen_vector, END
        is      seen_cs, T1 | 3
        is      seen_sp, USTACK - 8
        case    'Call gate: level 1 takes its stack from the TSS'
        desc    T1, 0, 0xfffff, P | CODE | DPL(1), FLAT
        desc    T2, 0, 0xfffff, P | DATA | DPL(1), FLAT
        mov     dword [tss + 12], 0x79000
        mov     dword [tss + 16], T2 | 1
        gate    gdt + T0, T1, abs(here_gate7), 0xec
        gate    idt_entry(0x81), KCODE, abs(stubs32) + 0x81 * 16, 0xae
        try
        to_user
        call    T0:0
here_gate7:
        int     0x81
        tried
        is      seen_vector, 0x81
        is      seen_cs, T1 | 1
        is      seen_ss, T2 | 1
        is      seen_sp, 0x79000 - 16
        case    'Call gate: bad SS in the TSS is #TS'
        mov     dword [tss + 16], T2
        user_faults 10, T2, call T0:0
        mov     dword [tss + 16], KDATA | 1
        user_faults 10, KDATA, call T0:0
        mov     dword [tss + 16], 0
        user_faults 10, 0, call T0:0
        desc    T2, 0, 0xfffff, DATA | DPL(1), FLAT
        mov     dword [tss + 16], T2 | 1
        user_faults 12, T2, call T0:0
        desc    T2, 0, 0xfff, P | DATA | DPL(1), SMALL32
        mov     dword [tss + 12], 8
        user_faults 12, T2, call T0:0
        restore_gate 0x81

        ret
here_never:
        int     0xff
