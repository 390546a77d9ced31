; SPDX-License-Identifier: GPL-2.0-or-later
; SYSENTER, SYSEXIT, SYSCALL and SYSRET in 32-bit protected mode; SDM 2B, AMD APM 2 6.1. Mode
; switches back and forth.
%include "common.inc"

%macro msr32 3                          ; number, low, high
        mov     ecx, %1
        mov     eax, %2
        mov     edx, %3
        wrmsr
%endmacro

main:
        case    'SYSENTER without SYSENTER_CS'
        msr32   0x174, 0, 0
        user_faults 13, 0, sysenter
        faults  13, 0, sysexit
        case    'SYSENTER'
        msr32   0x174, KCODE, 0
        msr32   0x175, 0x78000, 0
        msr32   0x176, here_enter, 0
        mov     dword [user_flags], 0x202
        try
        to_user
        sysenter
here_enter:
        mov     ebx, esp
        int     END
        tried
        mov     dword [user_flags], 2
        is      seen_vector, END
        is      seen_cs, KCODE
        is      seen_ss, KDATA
        is      seen_ebx, 0x78000
        is      seen_flags, 2, 0x202
        case    'SYSENTER from V86 mode clears VM'
        try
        to_v86
        sysenter
        bits    32
        tried
        is      seen_vector, END
        is      seen_cs, KCODE
        is      seen_flags, 0, 0x20000
        case    'SYSENTER with TF: the trap is at its target'
        mov     dword [user_flags], 0x102
        try
        to_user
        sysenter
        tried
        mov     dword [user_flags], 2
        is      seen_vector, 1
        is      seen_ip, here_enter
        is      seen_cs, KCODE
        case    'SYSEXIT'
        mov     edx, here_exit
        mov     ecx, USTACK
        try
        sysexit
here_exit:
        mov     ebx, esp
        int     END
        tried
        is      seen_vector, END
        is      seen_cs, UCODE
        is      seen_ss, UDATA
        is      seen_ebx, USTACK
        case    'SYSEXIT at level 3'
        user_faults 13, 0, sysexit
        case    'SYSENTER in real mode'
        try
        to_real
        sysenter
        bits    32
        tried
        is      seen_vector, 13

        xor     eax, eax
        cpuid
        cmp     ecx, 'ntel'
        je      intel
        case    'AMD: SYSCALL in protected mode'
        msr32   0xc0000081, here_syscall, 0x00180008
        mov     ecx, 0xc0000080
        rdmsr
        and     al, ~1
        wrmsr
        user_faults 6, NO_ERROR, syscall
        mov     ecx, 0xc0000080
        rdmsr
        or      al, 1
        wrmsr
        mov     dword [user_flags], 0x202
        try
        to_user
        syscall
here_next:
        nop
here_syscall:
        mov     ebx, esp
        int     END
        tried
        mov     dword [user_flags], 2
        is      seen_vector, END
        is      seen_ecx, here_next
        is      seen_cs, KCODE
        is      seen_ss, KDATA
        is      seen_ebx, USTACK
        is      seen_flags, 2, 0x202
        case    'AMD: SYSRET in protected mode'
        mov     ecx, here_sysret
        try
        mov     esp, USTACK
        sysret
here_sysret:
        int     END
        tried
        is      seen_vector, END
        is      seen_cs, UCODE
        is      seen_ss, UDATA
        is      seen_flags, 0x202, 0x202
        jmp     modes
intel:
        case    'Intel: SYSCALL and SYSRET are #UD outside of 64-bit mode'
        mov     ecx, 0xc0000080
        rdmsr
        or      al, 1
        wrmsr
        user_faults 6, NO_ERROR, syscall
        faults  6, NO_ERROR, sysret
modes:
        case    'CR0: PG without PE, NW without CD'
        mov     ebx, cr0
        and     ebx, ~0x60000001
        or      ebx, 0x80000000
        faults  13, 0, mov cr0, ebx
        mov     ebx, cr0
        and     ebx, ~0x60000000
        or      ebx, 0x20000000
        faults  13, 0, mov cr0, ebx
        case    'CR0: ET is set, reserved bits are not'
        mov     ebx, cr0
        mov     eax, ebx
        or      eax, 0x1ff80fc0 & ~0x50000
        and     eax, ~0x10
        mov     cr0, eax
        mov     eax, cr0
        reg_is  eax, ebx
        case    'CR4: reserved bits'
        mov     ebx, cr4
        bts     ebx, 31
        faults  13, 0, mov cr4, ebx
        case    'CR4: PCIDE outside of long mode'
        mov     ebx, cr4
        bts     ebx, 17
        faults  13, 0, mov cr4, ebx
        case    'EFER.LME: PG without PAE'
        mov     ecx, 0xc0000080
        rdmsr
        or      ah, 1
        wrmsr
        mov     ebx, cr0
        and     ebx, ~0x60000000
        or      ebx, 0x80000000
        faults  13, 0, mov cr0, ebx
        mov     ecx, 0xc0000080
        rdmsr
        and     ah, ~1
        wrmsr
        case    'Real mode and back, many times'
        mov     dword [result], 0
here_again:
        try
        to_real
        int     END
        bits    32
        tried
        inc     dword [result]
        cmp     dword [result], 1000
        jb      here_again
        is      seen_vector, END
        is      seen_cs, 0x800
        ret
