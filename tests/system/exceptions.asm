; SPDX-License-Identifier: GPL-2.0-or-later
; Each exception of protected mode: vector, error code, saved state. SDM 3A chapter 6.
%include "common.inc"

%define RF 0x10000

main:
        mov     eax, cr0
        and     eax, ~0x60000000
        or      eax, 0x22               ; NE, MP
        mov     cr0, eax
        mov     eax, cr4
        or      eax, 0x600              ; OSFXSR, OSXMMEXCPT
        mov     cr4, eax

        case    'DE: DIV by zero'
        xor     ecx, ecx
        mov     eax, 0x1234
        mov     edx, 0x5678
        faults  0, NO_ERROR, div ecx
        is      seen_flags, RF, RF
        is      seen_eax, 0x1234
        is      seen_edx, 0x5678
        is      seen_cs, KCODE
        case    'DE: DIV overflow'
        mov     edx, 2
        mov     ecx, 2
        faults  0, NO_ERROR, div ecx
        case    'DE: IDIV overflow'
        mov     eax, 0x80000000
        cdq
        mov     ecx, -1
        faults  0, NO_ERROR, idiv ecx
        case    'DE: AAM 0'
        faults  0, NO_ERROR, aam 0

        case    'DB: INT1 is a trap and leaves DR6'
        xor     eax, eax
        mov     dr6, eax
        try
        db      0xf1
here_icebp:
        tried
        is      seen_vector, 1
        is      seen_ip, here_icebp
        is      seen_flags, 0, RF
        is      seen_dr6, 0, 0xe00f
        case    'INT1 ignores the DPL of its gate'
        try
        to_user
        db      0xf1
        int     END
        tried
        is      seen_vector, 1
        is      seen_cs, UCODE
        case    'INT 1 does not'
        user_faults 13, 1 * 8 + 2, int 1

        case    'BP: INT3 is a trap'
        try
        int3
here_bp:
        tried
        is      seen_vector, 3
        is      seen_error, NO_ERROR
        is      seen_ip, here_bp
        is      seen_flags, 0, RF
        case    'INT3 at level 3: DPL of the gate'
        user_faults 13, 3 * 8 + 2, int3
        case    'OF: INTO is a trap'
        mov     al, 0x7f
        add     al, 1
        try
        into
here_of:
        tried
        is      seen_vector, 4
        is      seen_ip, here_of
        is      seen_flags, 0, RF
        case    'INTO without OF'
        xor     eax, eax
        fine    into
        case    'BR: BOUND is a fault'
        mov     dword [SCRATCH], 5
        mov     dword [SCRATCH + 4], 9
        mov     eax, 10
        faults  5, NO_ERROR, bound eax, [SCRATCH]
        is      seen_flags, RF, RF
        case    'BR: below'
        mov     eax, 4
        faults  5, NO_ERROR, bound eax, [SCRATCH]
        case    'BOUND within'
        mov     eax, 9
        fine    bound eax, [SCRATCH]
        case    'UD2'
        faults  6, NO_ERROR, ud2
        is      seen_flags, RF, RF
        case    'UD: MOV to CS'
        faults  6, NO_ERROR, db 0x8e, 0xc8
        case    'UD: LEA with a register'
        faults  6, NO_ERROR, db 0x8d, 0xc0
        case    'UD: RSM outside of SMM'
        faults  6, NO_ERROR, rsm
        case    'UD: MOV from CR1'
        faults  6, NO_ERROR, db 0x0f, 0x20, 0xc8
        case    'UD: MOV from CR5'
        faults  6, NO_ERROR, db 0x0f, 0x20, 0xe8
        case    'UD: INT3 with LOCK'
        faults  6, NO_ERROR, db 0xf0, 0xcc

        case    'LOCK: register destination'
        faults  6, NO_ERROR, db 0xf0, 0x01, 0xc0 ; add eax, eax
        case    'LOCK: CMP is not lockable'
        faults  6, NO_ERROR, db 0xf0, 0x39, 0x05, 0, 0, 9, 0
        case    'LOCK: memory as source'
        faults  6, NO_ERROR, db 0xf0, 0x03, 0x05, 0, 0, 9, 0
        case    'LOCK: MOV'
        faults  6, NO_ERROR, db 0xf0, 0x89, 0x05, 0, 0, 9, 0
        case    'LOCK: BT'
        faults  6, NO_ERROR, db 0xf0, 0x0f, 0xa3, 0x05, 0, 0, 9, 0
        case    'LOCK: NOP'
        faults  6, NO_ERROR, db 0xf0, 0x90
        case    'LOCK: what may'
        mov     dword [SCRATCH], 1
        mov     eax, 1
        fine    lock add [SCRATCH], eax
        fine    lock bts [SCRATCH], eax
        fine    lock not dword [SCRATCH]
        fine    lock xadd [SCRATCH], eax
        fine    lock cmpxchg8b [SCRATCH]
        fine    lock xchg [SCRATCH], eax
        fine    lock neg dword [SCRATCH]
        fine    lock dec dword [SCRATCH]

        case    '15 bytes are fine'
        fine    db 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x90
        case    '16 bytes are GP'
        faults  13, 0, db 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x90
        case    '16 bytes are GP, with a long immediate'
        faults  13, 0, db 0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0xc7, 0x05, 0, 0, 9, 0, 1, 2, 3, 4

        case    'NM: EM'
        mov     eax, cr0
        or      al, 4
        mov     cr0, eax
        faults  7, NO_ERROR, fninit
        is      seen_flags, RF, RF
        case    'UD: SSE with EM'
        faults  6, NO_ERROR, xorps xmm0, xmm0
        case    'NM: TS'
        mov     eax, cr0
        and     al, ~4
        or      al, 8
        mov     cr0, eax
        faults  7, NO_ERROR, fninit
        case    'NM: TS and SSE'
        faults  7, NO_ERROR, xorps xmm0, xmm0
        case    'NM: WAIT with MP and TS'
        faults  7, NO_ERROR, wait
        case    'WAIT with TS without MP'
        mov     eax, cr0
        and     al, ~2
        mov     cr0, eax
        fine    wait
        case    'CLTS'
        clts
        mov     eax, cr0
        or      al, 2
        mov     cr0, eax
        fine    fninit
        case    'UD: SSE without OSFXSR'
        mov     eax, cr4
        and     eax, ~0x200
        mov     cr4, eax
        faults  6, NO_ERROR, xorps xmm0, xmm0
        mov     eax, cr4
        or      eax, 0x200
        mov     cr4, eax

        case    'MF: at the next waiting instruction'
        fninit
        mov     word [SCRATCH], 0x037b  ; zero divide unmasked
        fldcw   [SCRATCH]
        fldz
        fld1
        fine    fdivrp
        faults  16, NO_ERROR, fld1
        is      seen_flags, RF, RF
        case    'MF: at WAIT'
        faults  16, NO_ERROR, wait
        case    'MF: not at FNSTSW'
        fine    fnstsw ax
        fnclex
        fninit
        case    'XM: SSE'
        mov     dword [SCRATCH], 0x1d80 ; zero divide unmasked
        ldmxcsr [SCRATCH]
        xorps   xmm1, xmm1
        mov     dword [SCRATCH + 4], 0x3f800000
        movss   xmm0, [SCRATCH + 4]
        faults  19, NO_ERROR, divss xmm0, xmm1
        is      seen_flags, RF, RF
        stmxcsr [result]
        is      result, 0x1d84
        case    'UD: XM without OSXMMEXCPT'
        mov     eax, cr4
        and     eax, ~0x400
        mov     cr4, eax
        mov     dword [SCRATCH], 0x1d80
        ldmxcsr [SCRATCH]
        faults  6, NO_ERROR, divss xmm0, xmm1
        mov     eax, cr4
        or      eax, 0x400
        mov     cr4, eax
        mov     dword [SCRATCH], 0x1f80
        ldmxcsr [SCRATCH]

        case    'Flags and stack in a handler: interrupt gate'
        mov     dword [user_flags], 0x0ad7 ; OF, IF, SF ZF AF PF CF
        try
        to_user
        int     END
here_int:
        tried
        is      seen_flags, 0x0ad7
        is      seen_handler_flags, 0x2, 0x302 ; IF is clear
        is      seen_ip, here_int
        is      seen_cs, UCODE
        is      seen_ss, UDATA
        is      seen_sp, USTACK
        is      seen_handler_sp, ISTACK - 8
        is      seen_handler_ss, KDATA
        case    'Trap gate: IF stays'
        gate    idt_entry(END), KCODE, abs(stubs32) + END * 16, 0xef
        try
        to_user
        int     END
        tried
        is      seen_vector, END
        is      seen_handler_flags, 0x202, 0x202
        mov     dword [user_flags], 2
        restore_gate END
        case    'INT n: DPL of the gate'
        user_faults 13, 0x90 * 8 + 2, int 0x90
        case    'INT n: gate not present'
        gate    idt_entry(0x81), KCODE, abs(stubs32) + 0x81 * 16, 0x6e
        user_faults 11, 0x81 * 8 + 2, int 0x81
        case    'INT n: DPL before presence'
        gate    idt_entry(0x81), KCODE, abs(stubs32) + 0x81 * 16, 0x0e
        user_faults 13, 0x81 * 8 + 2, int 0x81
        case    'INT n: not a gate'
        gate    idt_entry(0x81), KCODE, abs(stubs32) + 0x81 * 16, 0xec
        faults  13, 0x81 * 8 + 2, int 0x81
        case    'INT n: code segment null'
        gate    idt_entry(0x81), 3, abs(stubs32) + 0x81 * 16, 0xee
        faults  13, 0, int 0x81
        case    'INT n: code segment outside the GDT'
        gate    idt_entry(0x81), 0x200, abs(stubs32) + 0x81 * 16, 0xee
        faults  13, 0x200, int 0x81
        case    'INT n: data segment'
        gate    idt_entry(0x81), KDATA, abs(stubs32) + 0x81 * 16, 0xee
        faults  13, KDATA, int 0x81
        case    'INT n: code segment less privileged'
        gate    idt_entry(0x81), UCODE, abs(stubs32) + 0x81 * 16, 0xee
        faults  13, UCODE & ~3, int 0x81
        case    'INT n: code segment not present'
        desc    T0, 0, 0xfffff, 0x1a, FLAT
        gate    idt_entry(0x81), T0, abs(stubs32) + 0x81 * 16, 0xee
        faults  11, T0, int 0x81
        case    'INT n: offset beyond the limit'
        desc    T0, 0, 0xfff, P | CODE, SMALL32
        gate    idt_entry(0x81), T0, abs(stubs32) + 0x81 * 16, 0xee
        faults  13, 0, int 0x81
        case    'INT n: conforming handler runs at the level it came from'
        desc    T0, 0, 0xfffff, P | CODE | 4, FLAT
        gate    idt_entry(0x81), T0, conforming_handler - $$ + 0x8000, 0xee
        mov     dword [result], 0
        try
        to_user
        int     0x81
        tried
        is      seen_vector, END
        is      seen_cs, T0 | 3
        case    'INT n: vector beyond the IDT'
        mov     word [SCRATCH], 0x80 * 8 + 7
        mov     dword [SCRATCH + 2], idt
        lidt    [SCRATCH]
        faults  13, 0x81 * 8 + 2, int 0x81
        lidt    [idtr]
        restore_gate 0x81

        case    '16-bit interrupt gate'
        gate    idt_entry(0x81), KCODE, abs(gate16) & 0xffff, 0xe6
        mov     dword [SCRATCH], 0
        try
        to_user
        int     0x81
        tried
        is      seen_vector, NOTHING
        is      result, UDATA           ; SS
        is      result + 4, USTACK & 0xffff
        is      result + 8, UCODE
        is      result + 12, ISTACK - 10
        restore_gate 0x81

        case    'EXT: gate of an exception not present'
        gate    idt_entry(6), KCODE, abs(stubs32) + 6 * 16, 0x0e
        faults  11, 6 * 8 + 3, ud2
        restore_gate 6
        case    'EXT: code segment of an exception null'
        gate    idt_entry(6), 0, abs(stubs32) + 6 * 16, 0x8e
        faults  13, 1, ud2
        restore_gate 6
        case    'EXT: code segment of an exception not present'
        desc    T0, 0, 0xfffff, 0x1a, FLAT
        gate    idt_entry(6), T0, abs(stubs32) + 6 * 16, 0x8e
        faults  11, T0 | 1, ud2
        restore_gate 6
        case    'EXT: INT1'
        gate    idt_entry(1), KCODE, abs(stubs32) + 1 * 16, 0x0e
        faults  11, 1 * 8 + 3, db 0xf1
        restore_gate 1
        case    'EXT: none for INT n'
        gate    idt_entry(0x91), KCODE, abs(stubs32), 0x0e
        faults  11, 0x91 * 8 + 2, int 0x91
        restore_gate 0x91

        case    'DF: DE, then NP'
        gate    idt_entry(0), KCODE, abs(stubs32), 0x0e
        xor     ecx, ecx
        faults  8, 0, div ecx
        restore_gate 0
        case    'DF: GP, then NP'
        gate    idt_entry(13), KCODE, abs(stubs32) + 13 * 16, 0x0e
        mov     ax, 0x1f8
        faults  8, 0, mov ds, ax
        restore_gate 13
        case    'No DF: UD, then NP'
        gate    idt_entry(6), KCODE, abs(stubs32), 0x0e
        faults  11, 6 * 8 + 3, ud2
        case    'DF: UD, then NP, then NP'
        gate    idt_entry(11), KCODE, abs(stubs32), 0x0e
        faults  8, 0, ud2
        restore_gate 6
        restore_gate 11
        case    'No DF: INT n, then NP'
        gate    idt_entry(0x91), KCODE, abs(stubs32), 0x0e
        faults  11, 0x91 * 8 + 2, int 0x91
        case    'DF: INT n, then NP, then GP'
        gate    idt_entry(11), KDATA, abs(stubs32), 0x8e
        faults  8, 0, int 0x91
        restore_gate 11
        restore_gate 0x91
        case    'Triple fault'
        gate    idt_entry(13), KCODE, abs(stubs32), 0x0e
        gate    idt_entry(8), KCODE, abs(stubs32), 0x0e
        mov     ax, 0x1f8
        try
        mov     ds, ax
        tried
        is      seen_vector, SHUTDOWN
        restore_gate 13
        restore_gate 8
        case    'Triple fault: empty IDT'
        mov     dword [SCRATCH], 0
        mov     dword [SCRATCH + 4], 0
        try
        lidt    [SCRATCH]
        ud2
        tried
        is      seen_vector, SHUTDOWN

        case    'Inner stack: null SS in the TSS'
        mov     dword [tss + 8], 0
        desc    T1, 0, 0xfffff, P | CODE | 4, FLAT ; conforming: stays at level 3
        gate    idt_entry(10), T1, ts_handler - $$ + 0x8000, 0x8e
        call    inner_stack
        is      result, 0
        case    'Inner stack: SS outside the GDT'
        mov     dword [tss + 8], 0x200
        call    inner_stack
        is      result, 0x200
        case    'Inner stack: DPL of SS'
        mov     dword [tss + 8], UDATA & ~3
        call    inner_stack
        is      result, UDATA & ~3
        case    'Inner stack: RPL of SS'
        mov     dword [tss + 8], KDATA | 1
        call    inner_stack
        is      result, KDATA
        case    'Inner stack: SS is code'
        mov     dword [tss + 8], KCODE
        call    inner_stack
        is      result, KCODE
        case    'Inner stack: SS is read-only'
        desc    T0, 0, 0xfffff, P | 0x10, FLAT
        mov     dword [tss + 8], T0
        call    inner_stack
        is      result, T0
        case    'Inner stack: TSS too small'
        mov     dword [tss + 8], KDATA
        desc    TSS, abs(tss), 8, P | 9, 0
        mov     ax, TSS
        ltr     ax
        call    inner_stack
        is      result, TSS
        desc    TSS, abs(tss), tss_end - tss - 1, P | 9, 0
        mov     ax, TSS
        ltr     ax
        restore_gate 8
        restore_gate 10
        restore_gate 11
        case    'Inner stack: SS not present'
        desc    T0, 0, 0xfffff, 0x12, FLAT
        mov     dword [tss + 8], T0
        gate    idt_entry(12), T1, ts_handler - $$ + 0x8000, 0x8e
        call    inner_stack
        is      result, T0
        case    'Inner stack: no room'
        desc    T0, 0, 0xfff, P | DATA, SMALL32
        mov     dword [tss + 8], T0
        mov     dword [tss + 4], 8
        call    inner_stack
        is      result, T0
        mov     dword [tss + 4], ISTACK
        mov     dword [tss + 8], KDATA
        restore_gate 12

        case    'SS: stack without room at level 0'
        desc    T0, 0, 0xfff, P | DATA, SMALL32
        gate    idt_entry(12), KCODE, abs(stubs32) + 12 * 16, 0x8e
        mov     ax, T0
        try
        mov     ss, ax
        mov     esp, 0x2000
        push    eax
        tried
        is      seen_vector, SHUTDOWN   ; the frame finds no room either
        ret

; INT 0x82 from level 3 with a bad inner stack: the #TS or #SS is seen at level 3.
inner_stack:
        gate    idt_entry(0x82), KCODE, abs(stubs32) + 0x82 * 16, 0xee
        mov     dword [result], 0xbad
        try
        to_user
        int     0x82
        tried
        ret

; Conforming: at level 3, with the error code on the user's stack. Ends at level 0, through a gate
; that does not use the TSS: a far jump cannot, so the stack in the TSS is made good first.
ts_handler:
        pop     dword [result]
        mov     dword [tss + 4], ISTACK
        mov     dword [tss + 8], KDATA
        cmp     dword [result], TSS
        je      .shutdown
        int     END
.shutdown:
        ; the TSS serves no gate any more: shut down
        xor     eax, eax
        mov     [idt_entry(8) + 4], eax
        mov     [idt_entry(10) + 4], eax
        mov     [idt_entry(11) + 4], eax
        int     END

conforming_handler:
        int     END

gate16:                                 ; at level 0; the frame has 16-bit entries
        mov     ax, KDATA
        mov     ds, ax
        mov     es, ax
        movzx   eax, word [esp + 8]
        mov     [result], eax
        movzx   eax, word [esp + 6]
        mov     [result + 4], eax
        movzx   eax, word [esp + 2]
        mov     [result + 8], eax
        mov     [result + 12], esp
        jmp     resume32
