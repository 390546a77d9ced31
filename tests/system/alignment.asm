; SPDX-License-Identifier: GPL-2.0-or-later
; Alignment checks: which operands, at which addresses, when. SDM 3A 6.15, "Interrupt 17"; what the
; manual leaves to the model is as Intel's server processors do it.
%include "common.inc"

%define RF              0x10000

main:   mov     eax, cr4
        or      eax, 0x600              ; OSFXSR, OSXMMEXCPT
        mov     cr4, eax
        fninit
        case    'AC: level 3 with AM and AC'
        mov     eax, cr0
        or      eax, 0x40000
        mov     cr0, eax
        mov     dword [user_flags], 0x40002
        user_faults 17, 0, mov eax, [SCRATCH + 1]
        is      seen_flags, RF, RF
        case    'AC: word'
        user_faults 17, 0, mov ax, [SCRATCH + 1]
        case    'AC: store'
        mov     dword [SCRATCH + 4], 0
        mov     dword [SCRATCH], 0
        user_faults 17, 0, mov [SCRATCH + 2], esp
        is      SCRATCH, 0
        case    'AC: read, modify, write'
        user_faults 17, 0, add dword [SCRATCH + 2], 1
        case    'AC: push'
        try
        to_user
        mov     esp, USTACK - 2
here_ac:
        push    eax
        int     END
        tried
        is      seen_vector, 17
        is      seen_ip, here_ac
        is      seen_sp, USTACK - 2
        case    'AC: aligned'
        user_fine mov eax, [SCRATCH + 4]
        case    'AC: bytes'
        user_fine mov al, [SCRATCH + 1]
        case    'AC: qword'
        user_faults 17, 0, movq mm0, [SCRATCH + 4]
        case    'AC: double quadwords need not be aligned, unless #GP says so'
        user_fine movups xmm0, [SCRATCH + 1]
        user_fine movdqu [SCRATCH + 0x41], xmm0
        user_faults 13, 0, movaps xmm0, [SCRATCH + 1]
        user_faults 13, 0, addps xmm0, [SCRATCH + 8]
        user_faults 17, 0, movsd xmm0, [SCRATCH + 4]
        user_faults 17, 0, movss xmm0, [SCRATCH + 2]
        user_faults 17, 0, cmpxchg8b [SCRATCH + 4]
        case    'AC: 80-bit operands on multiples of 8'
        user_faults 17, 0, fld tword [SCRATCH + 4]
        user_fine fld tword [SCRATCH + 8]
        user_faults 17, 0, fstp tword [SCRATCH + 2]
        user_fine fstp tword [SCRATCH + 8]
        user_fine fldz
        user_faults 17, 0, fbstp tword [SCRATCH + 4]
        user_fine fbstp tword [SCRATCH + 8]
        case    'AC: images of the FPU by their operand size'
        user_faults 17, 0, fnstenv [SCRATCH + 2]
        user_fine fnstenv [SCRATCH + 4]
        user_faults 17, 0, fldenv [SCRATCH + 2]
        user_faults 17, 0, o16 fnstenv [SCRATCH + 1]
        user_fine o16 fnstenv [SCRATCH + 2]
        user_faults 17, 0, fnsave [SCRATCH + 2]
        user_fine fnsave [SCRATCH + 4]
        user_faults 17, 0, frstor [SCRATCH + 2]
        user_fine o16 fnsave [SCRATCH + 2]
        case    'AC: FXSAVE, #AC or #GP'
        user_faults 17, 0, fxsave [SCRATCH + 2]
        user_faults 13, 0, fxsave [SCRATCH + 8]
        user_fine fxsave [SCRATCH + 16]
        user_faults 17, 0, fxrstor [SCRATCH + 1]
        case    'AC: far pointers'
        mov     dword [SCRATCH], 0
        mov     dword [SCRATCH + 4], 0
        mov     dword [SCRATCH + 8], 0
        user_faults 17, 0, lgs eax, [SCRATCH + 2]
        user_fine lgs eax, [SCRATCH + 4]
        user_faults 17, 0, lgs ax, [SCRATCH + 1]
        user_fine lgs ax, [SCRATCH + 2]
        case    'AC: descriptor table registers'
        user_faults 17, 0, sgdt [SCRATCH + 2]
        user_fine sidt [SCRATCH + 4]
        user_faults 17, 0, str [SCRATCH + 1]
        user_fine str [SCRATCH + 2]
        case    'AC: bit strings by their operand size'
        xor     eax, eax
        user_faults 17, 0, bt [SCRATCH + 2], eax
        xor     eax, eax
        user_fine bt [SCRATCH + 2], ax
        mov     eax, 32
        user_faults 17, 0, bts [SCRATCH + 1], eax
        case    'AC: PUSHA and POPA by their operand size'
        try
        to_user
        mov     esp, USTACK - 2
here_ac_pusha:
        pushad
        int     END
        tried
        is      seen_vector, 17
        is      seen_ip, here_ac_pusha
        is      seen_sp, USTACK - 2
        try
        to_user
        mov     esp, USTACK - 2
        pushaw
        popaw
        popad
        int     END
        tried
        is      seen_vector, 17
        is      seen_sp, USTACK - 2
        case    'AC: strings'
        mov     esi, SCRATCH + 2
        mov     edi, SCRATCH + 0x40
        mov     ecx, 4
        cld
        user_faults 17, 0, rep movsd
        is      seen_ecx, 4
        mov     esi, SCRATCH + 2
        user_fine rep movsw
        case    'AC: what the processor reads for itself is not checked'
        user_fine mov ds, [SCRATCH]
        sub     dword [tss + 4], 2      ; the handler's stack
        user_fine nop
        add     dword [tss + 4], 2
        case    'AC: not without AC'
        mov     dword [user_flags], 2
        user_fine mov eax, [SCRATCH + 1]
        case    'AC: not at level 0'
        push    dword 0x40002
        popfd
        fine    mov eax, [SCRATCH + 1]
        push    dword 2
        popfd
        case    'AC: not without AM'
        mov     eax, cr0
        and     eax, ~0x40000
        mov     cr0, eax
        mov     dword [user_flags], 0x40002
        user_fine mov eax, [SCRATCH + 1]
        mov     dword [user_flags], 2
        ret
