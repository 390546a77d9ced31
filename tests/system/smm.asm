; SPDX-License-Identifier: GPL-2.0-or-later
; System management mode: what the handler finds, the state save map in both its forms, RSM back to
; every mode, SMBASE, what waits until RSM, memory that only the handler sees. SDM 3C chapter 34, AMD
; APM volume 2 chapter 10.
%include "common.inc"

%define SMM_MACROS
%include "smm.inc"

%define PDPT32          PLAY            ; for PAE
%define PD32            PLAY + 0x1000

; Segments of a protected-mode map entry, AMD64 and 32-bit.
%macro segment_is 6                     ; place in either map, selector's place in the 32-bit one,
        cmp     byte [map(0xfefc)], 0x64 ; selector, attributes, limit, base
        jne     %%narrow
        is      map(%1), %3, 0xffff
        is      map(%1) + 2, %4, 0xf09e ; not "accessed", nor DPL
        is      map(%1) + 4, %5
        is      map(%1) + 8, %6
        is      map(%1) + 12, 0
        jmp     %%end
%%narrow:
        is      map(%2 >> 16), %3
        is      map(%2 & 0xffff), %4, 0xf09e
        is      map(%2 & 0xffff) + 4, %5
        is      map(%2 & 0xffff) + 8, %6
%%end:
%endmacro
%define both(selector, rest) ((selector) << 16 | (rest))

; map_is PLACE64, PLACE32, VALUE[, MASK]
%macro map_is 3-4 0xffffffff
        cmp     byte [map(0xfefc)], 0x64
        jne     %%narrow
        is      map(%1), %3, %4
        jmp     %%end
%%narrow:
        is      map(%2), %3, %4
%%end:
%endmacro

main:
        in      al, PORT_PRESENT
        cmp     al, 0x5a
        je      .go
        ret
.go:    mov     eax, SMBASE0
        call    put_entry

        case    'RSM outside of SMM is #UD'
        faults  6, NO_ERROR, rsm
        user_faults 6, NO_ERROR, rsm

        case    'SMI: what the handler finds'
        fresh
        mov     eax, cr0
        or      eax, 0xe                ; MP, EM, TS
        mov     cr0, eax
        mov     eax, 0x11112222
        mov     ebx, 0x33334444
        mov     esi, 0x55556666
        try
        stc
        std
        smi
        int     END
        tried
        mov     eax, cr0
        and     eax, ~0xe
        mov     cr0, eax
        is      seen_vector, END
        is      smm_count, 1
        is      smm_cs, SMBASE0 >> 4
        is      smm_ds, 0
        is      smm_ss, 0
        is      smm_ip, 0x8000
        is      smm_flags, 2
        is      smm_cr0, 2, 0x8000000f
        is      smm_cr4, 0
        is      smm_dr7, 0x400
        is      smm_eax, 0x11112222
        is      smm_ebx, 0x33334444
        is      smm_esi, 0x55556666

        case    'SMI: the map, control registers'
        fresh
        mov     eax, 0x123000
        mov     cr3, eax
        mov     eax, cr4
        or      eax, 4                  ; TSD
        mov     cr4, eax
        mov     eax, 0x00000001         ; an execution breakpoint nobody meets
        mov     dr7, eax
        mov     eax, 0xffff4ff1
        mov     dr6, eax
        mov     eax, cr0
        mov     [result], eax
        try
        push    dword 0x2d7             ; IF, SF, ZF, AF, PF, CF
        popfd
        smi
here_map:
        int     END
        tried
        xor     eax, eax
        mov     dr7, eax
        mov     cr3, eax
        mov     eax, cr4
        and     eax, ~4
        mov     cr4, eax
        is      map(0xfefe), 2, 0x2     ; SMBASE can be relocated
        map_is  0xff00, 0xfef8, SMBASE0
        map_is  0xff78, 0xfff0, here_map
        map_is  0xff70, 0xfff4, 0x2d7
        map_is  0xff50, 0xfff8, 0x123000
        map_is  0xff48, 0xff14, 4
        map_is  0xff60, 0xffc8, 0x401
        map_is  0xff68, 0xffcc, 0xffff4ff1
        map_is  0xfec8, 0xff00, 0, 0xff ; no restart of I/O
        map_is  0xfec9, 0xff02, 0, 0xff ; was not halted
        mov     eax, [result]
        map_is  0xff58, 0xfffc, eax
        case    'SMI: the map, registers'
        fresh
        try
        mov     eax, 0x01020304
        mov     ecx, 0x11121314
        mov     edx, 0x21222324
        mov     ebx, 0x31323334
        mov     ebp, 0x51525354
        mov     esi, 0x61626364
        mov     edi, 0x71727374
        mov     esp, 0x41424344
        smi
        mov     esp, [resume_sp]
        tried
        map_is  0xfff8, 0xffd0, 0x01020304
        map_is  0xfff0, 0xffd4, 0x11121314
        map_is  0xffe8, 0xffd8, 0x21222324
        map_is  0xffe0, 0xffdc, 0x31323334
        map_is  0xffd8, 0xffe0, 0x41424344
        map_is  0xffd0, 0xffe4, 0x51525354
        map_is  0xffc8, 0xffe8, 0x61626364
        map_is  0xffc0, 0xffec, 0x71727374
        case    'SMI: the map, segments and tables'
        fresh
        desc    T0, 0x12345678, 0x00fff, P | DATA, SMALL32
        mov     ax, T0
        mov     fs, ax
        mov     ax, LDT
        lldt    ax
        try
        smi
        tried
        segment_is 0xfe10, both(0xffac, 0xff90), KCODE, 0xc09a, 0xffffffff, 0
        segment_is 0xfe20, both(0xffb0, 0xff9c), KDATA, 0xc092, 0xffffffff, 0
        segment_is 0xfe30, both(0xffb4, 0xff2c), KDATA, 0xc092, 0xffffffff, 0
        segment_is 0xfe00, both(0xffa8, 0xff84), KDATA, 0xc092, 0xffffffff, 0
        segment_is 0xfe40, both(0xffb8, 0xff38), T0, 0x4092, 0xfff, 0x12345678
        segment_is 0xfe70, both(0xffc0, 0xff78), LDT, 0x0082, 31, abs(ldt)
        segment_is 0xfe90, both(0xffc4, 0xff5c), TSS, 0x008a, tss_end - tss - 1, abs(tss)
        map_is  0xfe50, 0xffbc, 0, 0xffff ; GS: null, and so not present
        map_is  0xfe52, 0xff44, 0, 0x80
        map_is  0xfe68, 0xff74, gdt
        map_is  0xfe64, 0xff70, GDT_LIMIT
        map_is  0xfe88, 0xff58, idt
        map_is  0xfe84, 0xff54, 0x7ff
        xor     eax, eax
        lldt    ax

        case    'RSM: everything is as it was'
        fresh
        action
        mov     eax, 0x0badbad0
        mov     ecx, eax
        mov     edx, eax
        mov     esi, eax
        mov     edi, eax
        mov     ebp, eax
        mov     dr7, eax
        mov     ds, ax
        mov     es, ax
        mov     fs, ax
        mov     gs, ax
        lidt    [cs:seg16(ivtr)]
        mov     eax, cr4
        or      al, 4
        mov     cr4, eax
        mov     eax, cr0
        or      al, 8
        mov     cr0, eax
        stc
        action_end
        mov     ax, T0
        mov     fs, ax
        mov     eax, 1
        mov     ecx, 2
        mov     edx, 3
        mov     ebx, 4
        mov     ebp, 5
        mov     esi, 6
        mov     edi, 7
        try
        std
        smi
        int     END
        tried
        is      seen_vector, END
        is      seen_eax, 1
        is      seen_ecx, 2
        is      seen_edx, 3
        is      seen_ebx, 4
        is      seen_ebp, 5
        is      seen_esi, 6
        is      seen_edi, 7
        is      seen_fs, T0
        is      seen_ds, KDATA
        is      seen_flags, 0x402, 0x403
        is      seen_cr0, 1, 0x8000000d
        mov     eax, cr4
        reg_is  eax, 0, 4
        mov     eax, dr7
        reg_is  eax, 0x400
        case    'RSM: what the handler writes into the map'
        fresh
        action
        poke    0xfff8, 0xffd0, dword, 0xfeed0001
        poke    0xff78, 0xfff0, dword, abs(here_poked)
        poke    0xff70, 0xfff4, dword, 0x803
        action_end
        try
        smi
        int     3
here_poked:
        int     END
        tried
        is      seen_vector, END
        is      seen_eax, 0xfeed0001
        is      seen_flags, 0x803, 0xfd5
        case    'RSM: the descriptor cache, not the descriptor'
        fresh
        mov     ax, T0
        mov     fs, ax
        mov     dword [SCRATCH], 0x600df00d
        desc    T0, SCRATCH, 0xfff, P | DATA, SMALL32
        mov     ax, T0
        mov     fs, ax
        desc    T0, 0, 0, 0, 0
        try
        smi
        mov     ebx, [fs:0]
        mov     ecx, [fs:0x1000]
here_limit:
        tried
        is      seen_vector, 13
        is      seen_ebx, 0x600df00d

%macro real_try 0
        %push   attempt
        mov     dword [resume], %$end
        mov     [resume_sp], esp
        mov     dword [seen_vector], NOTHING
        to_real
%endmacro
%macro real_tried 0
        int     END
        bits    32
%$end:
        %pop
%endmacro
        case    'SMI, RSM: real mode'
        fresh
        real_try
        mov     ax, 0x1234
        mov     es, ax
        mov     bx, 0x4321
        sti
        smi
        real_tried
        is      smm_count, 1
        is      seen_vector, END
        is      seen_cs, 0x800
        is      seen_es, 0x1234
        is      seen_ebx, 0x4321, 0xffff
        is      seen_flags, 0x202, 0x202
        is      seen_cr0, 0, 1
        is      seen_sp, STACK16
        case    'SMI, RSM: real mode keeps wide limits (unreal)'
        fresh
        mov     dword [PLAY], 0xfeedface
        real_try
        cli
        lgdt    [cs:seg16(gdtr)]
        mov     eax, cr0
        or      al, 1
        mov     cr0, eax
        jmp     here_unreal
here_unreal:
        mov     bx, KDATA
        mov     ds, bx
        and     al, 0xfe
        mov     cr0, eax
        smi
        mov     ebx, [dword PLAY]
        real_tried
        is      seen_vector, END
        is      seen_ebx, 0xfeedface
        case    'SMI, RSM: 16-bit protected mode'
        fresh
        try
        jmp     dword KCODE16:here_pm16
        bits    16
here_pm16:
        smi
        mov     cx, cs
        int     END
        bits    32
        tried
        is      seen_vector, END
        is      seen_ecx, KCODE16, 0xffff
        is      seen_cs, KCODE16
        segment_is 0xfe10, both(0xffac, 0xff90), KCODE16, 0x009a, 0xffff, 0
        case    'SMI, RSM: level 3'
        fresh
        mov     dword [user_flags], 0x3202
        try
        to_user
        smi
        cli                             ; IOPL is back, too
        int     END
        tried
        is      smm_count, 1
        is      seen_vector, END
        is      seen_cs, UCODE
        is      seen_ss, UDATA
        is      seen_flags, 0x3002, 0x3202
        case    'SMI, RSM: virtual-8086 mode'
        fresh
        mov     byte [tss + iobase + 32 + PORT_SMI / 8], 0
        try
        to_v86
        mov     ax, 0x777
        mov     gs, ax
        smi
        mov     cx, gs
        int     END
        bits    32
        tried
        mov     byte [tss + iobase + 32 + PORT_SMI / 8], 0xff
        mov     dword [user_flags], 2
        is      smm_count, 1
        is      seen_vector, END
        is      seen_cs, 0x800
        is      seen_gs, 0x777
        is      seen_ecx, 0x777, 0xffff
        is      seen_flags, 0x23202, 0x23202
        is      seen_sp, STACK16

        case    'SMI, RSM: 32-bit paging'
        fresh
        call    clear_play
        mov     dword [PLAY], PLAY + 0x1007
        mov     edi, PLAY + 0x1000
        mov     eax, 7
        mov     ecx, 1024
.pte:   stosd
        add     eax, 0x1000
        loop    .pte
        mov     dword [PLAY + 0x4000], 0x11111111
        mov     dword [PLAY + 0x5000], 0x22222222
        mov     dword [PLAY + 0x1000 + (PLAY + 0x4000) / 0x1000 * 4], PLAY + 0x5007
        action
        mov     eax, [dword PLAY + 0x4000] ; no paging here
        mov     [cs:seg16(result)], eax
        action_end
        mov     eax, PLAY
        mov     cr3, eax
        mov     eax, cr0
        or      eax, 0x80000000
        mov     cr0, eax
        mov     ebx, [PLAY + 0x4000]
        try
        smi
        mov     ecx, [PLAY + 0x4000]
        int     END
        tried
        mov     eax, cr0
        and     eax, 0x7fffffff
        mov     cr0, eax
        is      seen_vector, END
        is      seen_ebx, 0x22222222
        is      seen_ecx, 0x22222222
        is      result, 0x11111111

        case    'SMI, RSM: PAE paging'
        fresh
        call    clear_play
        mov     dword [PDPT32], PD32 + 1
        mov     dword [PD32], 0x83      ; 2 MiB pages: the second is the first
        mov     dword [PD32 + 8], 0x83
        mov     dword [0x6000], 0x33333333
        mov     dword [PLAY + 0x106000], 0x44444444
        mov     eax, cr4
        or      eax, 0x20
        mov     cr4, eax
        mov     eax, PDPT32
        mov     cr3, eax
        mov     eax, cr0
        or      eax, 0x80000000
        mov     cr0, eax
        action
        mov     eax, [dword PLAY + 0x106000]
        mov     [cs:seg16(result)], eax
        action_end
        try
        smi
        mov     ecx, [0x206000]
        int     END
        tried
        is      seen_vector, END
        is      seen_ecx, 0x33333333
        is      result, 0x44444444
        case    'RSM: the PDPTEs are read again'
        fresh
        mov     dword [0x3000], 0x83    ; another directory, like the first but for ...
        mov     dword [0x3004], 0
        mov     dword [0x3008], 0x200083
        mov     dword [0x300c], 0
        action
        mov     dword [dword PDPT32], 0x3001
        action_end
        try
        smi
        mov     ecx, [0x206000]         ; ... what lies here
        int     END
        tried
        mov     eax, cr0
        and     eax, 0x7fffffff
        mov     cr0, eax
        mov     eax, cr4
        and     eax, ~0x20
        mov     cr4, eax
        is      seen_vector, END
        is      seen_ecx, 0x44444444

        case    'SMI in HLT: halted again, an interrupt wakes'
        fresh
        out     PORT_HALT_SMI, al
        raise   PORT_HALT_INTR, 0x35
        try
        sti
        hlt
here_hlt:
        nop
        tried
        is      smm_count, 1
        map_is  0xfec9, 0xff02, 1, 0xff
        map_is  0xff78, 0xfff0, here_hlt
        is      seen_vector, 0x35
        is      seen_ip, here_hlt
        case    'SMI in HLT: the handler ends the halt'
        fresh
        action
        poke    0xfec9, 0xff02, byte, 0
        action_end
        out     PORT_HALT_SMI, al
        try
        sti
        hlt
        int     END
        tried
        is      smm_count, 1
        is      seen_vector, END

        case    'SMI in SMM waits for RSM'
        fresh
        action
        mov     eax, [cs:seg16(smm_count)]
        cmp     eax, 1
        jne     .second
        raise   PORT_SMI, 0
        raise   PORT_SMI, 0             ; one of them is remembered
        mov     eax, [cs:seg16(smm_count)]
        mov     [cs:seg16(result)], eax
.second:
        action_end
        try
        smi
here_smi2:
        nop
        tried
        is      result, 1
        is      smm_count, 2
        map_is  0xff78, 0xfff0, here_smi2
        case    'Interrupts in SMM wait for IF'
        fresh
        action
        raise   PORT_INTR, 0x36
        nop
        action_end
        try
        sti
        nop
        smi
here_intr:
        nop
        tried
        is      seen_vector, 0x36
        is      seen_ip, here_intr
        is      smm_done, 1
        case    'NMI in SMM waits for RSM'
        fresh
        action
        raise   PORT_NMI, 0
        nop
        action_end
        try
        smi
here_nmi:
        nop
        tried
        is      seen_vector, 2
        is      seen_ip, here_nmi
        is      smm_done, 1
        case    'SMI in an NMI handler: RSM keeps NMIs off'
        fresh
        mov     ecx, 0
        try                             ; no IRET since the NMI before
        smi
        raise   PORT_NMI, 0
        mov     ecx, 1
        push    dword 2
        push    dword KCODE
        push    dword here_nmi2
        iretd
here_nmi2:
        mov     ecx, 2
        tried
        is      smm_count, 1
        is      seen_vector, 2
        is      seen_ecx, 1
        call    end_nmi
        case    'IRET lets NMIs into SMM'
        fresh
        mov     word [2 * 4], seg16(smm_nmi)
        mov     word [2 * 4 + 2], 0x800
        action
        lidt    [cs:seg16(ivtr)]
        xor     ax, ax
        mov     ss, ax
        mov     sp, STACK16 - 0x100
        pushf
        push    cs
        push    word seg16(here_smm_iret)
        iret
here_smm_iret:
        raise   PORT_NMI, 0
        nop
        mov     sp, STACK16 - 2
        action_end
        mov     dword [result], 0
        try
        smi
        nop
        tried
        mov     dword [2 * 4], abs(stubs16) - 0x8000 + 2 * stub16_size + 0x08000000
        is      seen_vector, NOTHING
        is      result, 0x4e4d49
        case    'INIT in SMM waits for RSM'
        fresh
        action
        raise   PORT_INIT, 0
        nop
        action_end
        try
        smi
        tried
        is      seen_vector, SHUTDOWN   ; by way of the reset vector
        is      smm_done, 1
        case    'SMI beside a single step: both happen'
        fresh
        try
        push    dword 0x102
        popfd
        smi
here_step:
        nop
        tried
        is      seen_vector, 1
        is      seen_ip, here_step
        is      seen_dr6, 0x4000, 0x4000
        is      smm_count, 1

        case    'SMBASE moves at RSM'
        fresh
        mov     eax, SMBASE1
        call    put_entry
        action
        poke    0xff00, 0xfef8, dword, SMBASE1
        action_end
        try
        smi
        tried
        is      smm_cs, SMBASE0 >> 4
        fresh
        mov     dword [SMBASE0 + 0xfefc], 0x5a5a5a5a
        try
        smi
        tried
        is      smm_count, 1
        is      smm_cs, SMBASE1 >> 4
        map_is  0xff00, 0xfef8, SMBASE1
        is      SMBASE0 + 0xfefc, 0x5a5a5a5a
        case    'SMRAM: not what others see there'
        mov     dword [SMRAM + 0x1000], 0x12345678
        fresh
        action
        mov     eax, [dword SMRAM + 0x1000]
        mov     [cs:seg16(result)], eax
        mov     dword [dword SMRAM + 0x1000], 0x87654321
        action_end
        try
        smi
        tried
        is      result, 0
        is      SMRAM + 0x1000, 0x12345678
        mov     dword [SMRAM + 0x1000], 0x11111111
        try
        smi
        tried
        is      result, 0x87654321
        is      SMRAM + 0x1000, 0x11111111
        case    'SMRAM: code'
        mov     dword [SMRAM + 0x2000], 0x90c301b0 ; MOV AL, 1; RET
        fresh
        action
        mov     dword [dword SMRAM + 0x2000], 0x90cb02b0 ; MOV AL, 2; RETF
        call    (SMRAM >> 4):0x2000
        mov     [cs:seg16(result)], al
        action_end
        mov     ecx, SMRAM + 0x2000
        xor     eax, eax
        call    ecx
        reg_is  eax, 1
        try
        smi
        tried
        is      result, 2, 0xff
        xor     eax, eax
        mov     ecx, SMRAM + 0x2000
        call    ecx
        reg_is  eax, 1
        case    'SMRAM: the handler and the map in it'
        fresh
        action
        mov     esi, SMBASE1 + 0x8000
        mov     edi, SMRAM + 0x8000
        mov     ecx, (entry_end - entry)
        a32 rep movsb
        poke    0xff00, 0xfef8, dword, SMRAM
        action_end
        try
        smi
        tried
        fresh
        mov     dword [SMRAM + 0xfefc], 0x77777777
        mov     dword [SMRAM + 0x8000], 0x0b0f0b0f ; UD2
        action
        poke    0xff00, 0xfef8, dword, SMBASE0
        action_end
        try
        smi
        tried
        is      smm_count, 1
        is      smm_cs, SMRAM >> 4
        map_is  0xff00, 0xfef8, SMRAM
        is      SMRAM + 0xfefc, 0x77777777
        is      SMRAM + 0x8000, 0x0b0f0b0f

        ; what RSM refuses
%macro refused 4
        fresh
        action
        poke    %1, %2, dword, %3
        action_end
        try
        smi
        tried
        is      seen_vector, %4
%endmacro
        case    'RSM: CR0.PG without PE shuts down'
        refused 0xff58, 0xfffc, 0x80000010, SHUTDOWN
        case    'RSM: CR0.NW without CD'
        refused 0xff58, 0xfffc, 0x20000011, SHUTDOWN
        case    'RSM: a reserved bit of CR4'
        refused 0xff48, 0xff14, 0x80000000, SHUTDOWN
        case    'RSM: out of SMRAM after a shutdown'
        mov     dword [SMRAM + 0x1000], 0x2468ace0
        fresh
        action
        poke    0xff48, 0xff14, dword, 0x80000000
        mov     dword [dword SMRAM + 0x1000], 0
        action_end
        try
        smi
        tried
        is      seen_vector, SHUTDOWN
        is      SMRAM + 0x1000, 0x2468ace0
        fresh
        try
        smi
        tried
        is      smm_cs, SMBASE0 >> 4    ; as after every reset
        case    'RSM: reserved bits of EFLAGS are not taken'
        fresh
        action
        poke    0xff70, 0xfff4, dword, 0xffc08028
        action_end
        try
        smi
        int     END
        tried
        is      seen_flags, 2, 0xffc0802a

        mov     eax, 0x80000000
        cpuid
        cmp     eax, 0x80000001
        jb      .no_nx
        mov     eax, 0x80000001
        cpuid
        test    edx, 1 << 20
        jz      .no_nx
        case    'RSM: EFER.NXE is as before, whether the map has a place for it or not'
        mov     ecx, MSR_EFER
        xor     edx, edx
        mov     eax, 0x800
        wrmsr
        fresh
        try
        smi
        tried
        is      seen_vector, NOTHING
        mov     ecx, MSR_EFER
        rdmsr
        reg_is  eax, 0x800
        mov     ecx, MSR_EFER
        xor     edx, edx
        xor     eax, eax
        wrmsr
.no_nx: cmp     byte [map(0xfefc)], 0x64
        je      .long
        ret
.long:  refused 0xff60, 0xffc8, 0x400, NOTHING
        case    'RSM: the upper half of DR7'
        refused 0xff64, 0, 1, SHUTDOWN
        case    'RSM: the upper half of CR0'
        refused 0xff5c, 0, 1, SHUTDOWN
        case    'RSM: reserved bits of EFER'
        refused 0xfed0, 0, 2, SHUTDOWN
        case    'RSM: long mode without PAE'
        fresh
        action
        mov     dword [dword ebx + 0xfed0], 0x100
        mov     dword [dword ebx + 0xff58], 0x80000011
        action_end
        try
        smi
        tried
        is      seen_vector, SHUTDOWN
        case    'RSM: EFER.LMA follows from LME and CR0.PG'
        fresh
        action
        mov     dword [dword ebx + 0xfed0], 0x500
        action_end
        try
        smi
        tried
        is      seen_vector, NOTHING
        mov     ecx, MSR_EFER
        rdmsr
        reg_is  eax, 0x100
        xor     eax, eax
        xor     edx, edx
        wrmsr
        ret

clear_play:
        mov     edi, PLAY
        mov     ecx, 0x6000 / 4
        xor     eax, eax
        rep     stosd
        ret

; NMIs on again.
end_nmi:
        pushfd
        push    cs
        push    dword .on
        iretd
.on:    ret

%include "smm.inc"
