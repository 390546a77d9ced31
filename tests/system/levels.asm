; SPDX-License-Identifier: GPL-2.0-or-later
; SYSCALL and SYSRET between 64-bit levels, STAC and CLAC, the bases of FS and GS, reads of control and
; segment registers: each many times over, so that an engine that keeps translations runs them from
; there, and then with something changed. SDM 2B, 3A 4.6, 5.8.8.
%include "common.inc"
%include "long.inc"

%define STAR            0xc0000081
%define LSTAR           0xc0000082
%define SFMASK          0xc0000084
%define ALL_FLAGS       0x47ffd5        ; what Linux clears
%define SMAP            (1 << 21)
%define FSGSBASE        (1 << 16)
%define ROUNDS          40
%define USER_DATA       TEST_PAGE       ; in a large page of its own
%define BAD_RETURN      0x800000000000

%macro hot 0                            ; ... until hot_end, ROUNDS times; keeps all but [rounds]
        %push   hot
        mov     qword [rounds], ROUNDS
%$again:
%endmacro
%macro hot_end 0
        dec     qword [rounds]
        jnz     %$again
        %pop
%endmacro

main:
        call    enter_long
        bits    64
        msr     STAR, 0x001b003000000000
        msr     SFMASK, ALL_FLAGS
        mov     qword [user_flags], 0x202

        case    'SYSCALL and SYSRET: registers and flags'
        msr     LSTAR, abs(kernel_entry)
        try
        to_user64
        hot
        mov     rax, [rounds]
        mov     rbx, rax
        stc
        mov     cl, 0x7f
        inc     cl                      ; OF SF AF, CF kept
        pushfq
        pop     r8
        syscall
after_first:
        pushfq
        pop     r9
        xor     r9, r8
        or      [differ], r9            ; SYSRET brings the flags back
        xor     r8, r11
        or      [differ], r8            ; as SYSCALL left them in R11
        lea     rdx, [rel after_first]
        xor     rdx, rcx
        or      [differ], rdx
        lea     rbx, [rbx * 2 + 1]
        xor     rax, rbx
        or      [differ], rax
        mov     ax, cs
        cmp     ax, UCODE64
        setne   [differ]
        mov     ax, ss
        cmp     ax, UDATA
        setne   [differ + 1]
        hot_end
        int     END
        tried
        is      seen_vector, END
        is      seen_cs, UCODE64
        is      seen_ss, UDATA
        is      seen_flags, 0x202, 0xfff302
        is      differ, 0
        is      in_kernel_flags, 2      ; none of SFMASK's, nor IF
        is      in_kernel_cs, KCODE64
        is      in_kernel_ss, KDATA64
        is      entries, ROUNDS

        case    'SYSCALL leaves what SFMASK has not'
        msr     SFMASK, 0x200
        mov     qword [in_kernel_flags], 0
        try
        to_user64
        hot
        stc
        syscall
        hot_end
        int     END
        tried
        is      seen_vector, END
        is      in_kernel_flags, 3, 0x203
        msr     SFMASK, ALL_FLAGS

        case    'SYSCALL from level 0'
        msr     LSTAR, abs(kernel_return)
        try
        hot
        stc
        syscall
        hot_end
        mov     ax, cs
        movzx   ebx, ax
        int     END
        tried
        is      seen_ebx, KCODE64
        is      seen_flags, 2, 0x3

        case    'A new LSTAR is where the next SYSCALL goes'
        mov     qword [differ], 0
        try
        hot
        msr     LSTAR, abs(kernel_return)
        mov     ebx, 1
        syscall
        sub     ebx, 2
        or      [differ], rbx
        msr     LSTAR, abs(kernel_other)
        mov     ebx, 1
        syscall
        sub     ebx, 5
        or      [differ], rbx
        hot_end
        tried
        is      seen_vector, NOTHING
        is      differ, 0

        case    'A new STAR is what the next SYSCALL and SYSRET load'
        msr     LSTAR, abs(kernel_entry)
        try
        to_user64
        hot
        syscall
        hot_end
        int     0x81
        tried
        is      seen_vector, 0x81
        msr     STAR, 0x00fb003000000000
        try
        to_user64
        syscall
        int     END
        tried
        is      seen_cs, 0x10b
        is      seen_ss, 0x103
        msr     STAR, 0x001b003000000000

        case    'Without EFER.SCE both are #UD, though they were fine before'
        msr     LSTAR, abs(kernel_return)
        mov     qword [differ], 0
        mov     dword [resume], sce_seen
        mov     [resume_sp], esp
        mov     qword [rounds], ROUNDS
sce_again:
        mov     ecx, EFER
        rdmsr
        test    byte [rounds], 1
        jz      sce_off
        or      eax, 1
        wrmsr
        jmp     sce_do
sce_off:
        and     eax, ~1
        wrmsr
sce_do: mov     qword [seen_vector], NOTHING
sce_syscall:
        syscall
sce_seen:
        mov     eax, [seen_vector]
        test    byte [rounds], 1
        jnz     sce_fine
        xor     eax, 6 ^ NOTHING
sce_fine:
        xor     eax, NOTHING
        or      [differ], rax
        dec     qword [rounds]
        jnz     sce_again
        is      differ, 0
        mov     ecx, EFER
        rdmsr
        or      eax, 1
        wrmsr

        case    'SYSRET: TF traps at the target'
        msr     LSTAR, abs(kernel_flags)
        mov     qword [return_flags], 0x202
        try
        to_user64
        hot
        syscall
        hot_end
        mov     qword [return_flags], 0x302
        syscall
here_tf:
        int     END
        tried
        is      seen_vector, 1
        is      seen_ip, here_tf
        is      seen_cs, UCODE64

        case    'SYSRET: DF and AC come back'
        mov     qword [return_flags], 0x40602
        mov     qword [SCRATCH + 8], 0
        mov     rax, 0x1122334455667788
        mov     [SCRATCH], rax
        try
        to_user64
        syscall
        mov     esi, SCRATCH
        mov     edi, SCRATCH + 8
        movsb                           ; down
        int     END
        tried
        is      seen_vector, END
        is      seen_esi, SCRATCH - 1
        is      seen_flags, 0x40602, 0x40702
        is      SCRATCH + 8, 0x88

        case    'SYSRET: an interrupt that waited comes at the target'
        mov     qword [return_flags], 0x202
        msr     LSTAR, abs(kernel_interrupt)
        mov     qword [countdown], ROUNDS / 2
        try
        to_user64
        hot
        syscall
here_interrupt:
        hot_end
        int     END
        tried
        is      seen_vector, 0x71
        is      seen_ip, here_interrupt
        is      seen_cs, UCODE64

        case    'SYSRET: not canonical'         ; faults here or, on AMD's, at its target
        msr     LSTAR, abs(kernel_bad)
        mov     qword [countdown], ROUNDS / 2
        try
        to_user64
        hot
        syscall
        hot_end
        int     END
        tried
        is      seen_vector, 13
        is      seen_error, 0

        case    'SYSRET at level 3'
        user64_faults 13, 0, o64 sysret

        ; The supervisor's page with this code, the user's with data.
        and     byte [PD], ~4
        mov     rax, cr3
        mov     cr3, rax
        cr_set  cr4, SMAP
        stac
        mov     qword [USER_DATA], 5
        mov     qword [USER_DATA + 8], 0
        clac

        case    'STAC and CLAC, by turns'
        mov     qword [rounds], ROUNDS
        xor     ebx, ebx
        try
.again: stac
        add     rbx, [USER_DATA]
        call    add_user
        clac
        pushfq
        pop     rax
        test    eax, 0x40000
        jnz     .end
        cmp     rbx, ROUNDS * 2 * 5
        jb      .again
.end:   stac
        pushfq
        pop     rdx
        clac
        int     END
        tried
        is      seen_vector, END
        is      seen_ebx, ROUNDS * 2 * 5
        is      seen_edx, 0x40000, 0x40000
        is      seen_flags, 0, 0x40000

        case    'Behind CLAC the page of the user is out of reach again'
        mov     qword [countdown], ROUNDS
        try
.next:  stac
        mov     rax, [USER_DATA]
        clac
        dec     qword [countdown]
        jnz     .next
here_clac:
        mov     rax, [USER_DATA]
        tried
        is      seen_vector, 14
        is      seen_error, 1
        is      seen_ip, here_clac
        is      seen_cr2, USER_DATA

        case    'The same code reads it with AC and faults without'
        mov     qword [differ], 0
        mov     dword [resume], read_seen
        mov     [resume_sp], esp
        mov     qword [rounds], ROUNDS
read_again:
        mov     qword [seen_vector], NOTHING
        test    byte [rounds], 1
        jz      read_without
        stac
        call    read_user
        clac
        jmp     read_seen
read_without:
        clac
        call    read_user
read_seen:
        mov     eax, [seen_vector]
        test    byte [rounds], 1
        jnz     read_fine
        xor     eax, 14 ^ NOTHING
read_fine:
        xor     eax, NOTHING
        or      [differ], rax
        dec     qword [rounds]
        jnz     read_again
        is      differ, 0

        case    'SYSCALL clears AC, whatever it was'
        msr     LSTAR, abs(kernel_read)
        mov     dword [resume], ac_seen
        mov     [resume_sp], esp
        mov     qword [differ], 0
        mov     qword [rounds], ROUNDS
ac_again:
        mov     qword [seen_vector], NOTHING
        test    byte [rounds], 1
        jz      ac_off
        stac
ac_off: syscall
ac_seen:
        mov     eax, [seen_vector]
        xor     eax, 14
        or      [differ], rax
        dec     qword [rounds]
        jnz     ac_again
        is      differ, 0
        clac

        case    'Copies to the user from system calls'
        mov     rax, user_start
        mov     rsi, rax
        mov     edi, USER_DATA + 0x100
        mov     ecx, user_end - user_start
        stac
        rep movsb
        clac
        msr     LSTAR, abs(kernel_copy)
        mov     qword [user_flags], 0x202
        try
        push    UDATA
        push    USER_DATA + 0x80000
        push    qword [user_flags]
        push    UCODE64
        push    USER_DATA + 0x100
        iretq
        tried
        is      seen_vector, END
        is      seen_ebx, ROUNDS * (ROUNDS + 1) / 2
        is      seen_cs, UCODE64

        case    'STAC at level 3'
        mov     byte [PD], 0x87
        cr_clear cr4, SMAP
        mov     rax, cr3
        mov     cr3, rax
        mov     qword [user_flags], 2
        user64_faults 6, NO_ERROR, stac
        user64_faults 6, NO_ERROR, clac

        case    'STAC and CLAC while CR4.SMAP is off'
        try
        hot
        stac
        mov     rax, [USER_DATA]
        clac
        mov     rbx, [USER_DATA]
        hot_end
        tried
        is      seen_vector, NOTHING

        case    'Bases of FS and GS'
        cr_set  cr4, FSGSBASE
        mov     qword [differ], 0
        mov     r13d, TEST_PAGE + 0x40
        try
        hot
        mov     rax, [rounds]
        lea     rbx, [TEST_PAGE + rax * 8]
        mov     [rbx], rax
        wrfsbase rbx
        rdfsbase rcx
        xor     rcx, rbx
        or      [differ], rcx
        xor     rax, [fs:0]
        or      [differ], rax
        wrgsbase r13
        rdgsbase r14
        sub     r14, r13
        or      [differ], r14
        mov     rax, -8
        wrgsbase rax
        rdgsbase rcx
        sub     rax, rcx
        or      [differ], rax
        mov     rax, 0xffffffff12345678
        wrfsbase eax
        rdfsbase rcx
        mov     eax, eax
        sub     rcx, rax
        or      [differ], rcx
        hot_end
        tried
        is      seen_vector, NOTHING
        is      differ, 0
        case    'A base that is not canonical'
        mov     rax, BAD_RETURN
        mov     qword [countdown], ROUNDS
        mov     ebx, TEST_PAGE
        try
.more:  wrfsbase rbx
        dec     qword [countdown]
        jnz     .more2
        mov     rbx, rax
.more2: jmp     .more
        tried
        is      seen_vector, 13
        is      seen_error, 0
        case    'Without CR4.FSGSBASE, though they were fine before'
        mov     qword [differ], 0
        mov     dword [resume], base_seen
        mov     [resume_sp], esp
        mov     qword [rounds], ROUNDS
base_again:
        cr_set  cr4, FSGSBASE
        test    byte [rounds], 1
        jnz     .do
        cr_clear cr4, FSGSBASE
.do:    mov     qword [seen_vector], NOTHING
        rdgsbase rax
base_seen:
        mov     eax, [seen_vector]
        test    byte [rounds], 1
        jnz     .fine
        xor     eax, 6 ^ NOTHING
.fine:  xor     eax, NOTHING
        or      [differ], rax
        dec     qword [rounds]
        jnz     base_again
        is      differ, 0
        cr_clear cr4, FSGSBASE

        case    'Reads of control and segment registers'
        mov     qword [differ], 0
        try
        hot
        mov     rax, [rounds]
        mov     cr2, rax
        mov     rbx, cr2
        sub     rax, rbx
        or      [differ], rax
        mov     r14, cr3
        sub     r14, PML4
        or      [differ], r14
        mov     rcx, -1
        mov     cx, ss
        mov     edx, ss
        mov     r15, -1
        mov     r15w, cs
        mov     rsi, cr4
        mov     rdi, cr0
        hot_end
        int     END
        tried
        is      differ, 0
        is      seen_ecx, -0x10000 + KDATA
        is      seen_edx, KDATA
        is      seen_esi, 0x6a0
        is      seen_edi, 0x80010033
        case    'At level 3 they are not to be read'
        mov     qword [user_flags], 2
        user64_faults 13, 0, mov rax, cr2
        user64_faults 13, 0, mov rax, cr0
        jmp     finish64

kernel_entry:
        mov     [in_kernel_rsp], rsp
        mov     esp, KSTACK - 0x200
        pushfq
        pop     qword [in_kernel_flags]
        mov     [in_kernel_cs], cs
        mov     [in_kernel_ss], ss
        inc     qword [entries]
        lea     rax, [rax * 2 + 1]
        mov     rsp, [in_kernel_rsp]
        o64 sysret
kernel_return:
        lea     ebx, [rbx + 1]
        jmp     rcx
kernel_other:
        lea     ebx, [rbx + 4]
        jmp     rcx
kernel_flags:
        mov     r11, [return_flags]
        o64 sysret
kernel_interrupt:
        dec     qword [countdown]
        jnz     .return
        mov     al, 0x71
        out     PORT_INTR, al
.return:
        mov     r11d, 0x202
        o64 sysret
kernel_bad:
        dec     qword [countdown]
        jnz     .return
        mov     rcx, BAD_RETURN
.return:
        o64 sysret
kernel_read:
        mov     rax, [USER_DATA]
        jmp     rcx
; rax to the user's first word, its second to rax
kernel_copy:
        mov     [in_kernel_rsp], rsp
        mov     esp, KSTACK - 0x200
        stac
        mov     [USER_DATA], rax
        call    read_second
        clac
        mov     rsp, [in_kernel_rsp]
        o64 sysret
read_second:
        mov     rax, [USER_DATA + 8]
        ret
add_user:
        add     rbx, [USER_DATA]
        ret
read_user:
        mov     rax, [USER_DATA]
        ret

; Runs in the user's page.
user_start:
        mov     ebp, ROUNDS
        xor     ebx, ebx
        mov     edi, USER_DATA
.again: mov     [rdi + 8], rbp
        mov     eax, ebp
        syscall
        sub     rax, [rdi]              ; both are ebp
        lea     rbx, [rbx + rax]
        add     rbx, [rdi]
        dec     ebp
        jnz     .again
        int     END
user_end:

        align   8
rounds:         dq      0
differ:         dq      0
entries:        dq      0
countdown:      dq      0
return_flags:   dq      0
in_kernel_rsp:  dq      0
in_kernel_flags: dq     0
in_kernel_cs:   dq      0
in_kernel_ss:   dq      0
