; SPDX-License-Identifier: GPL-2.0-or-later
; Every combination of rights in two entries of the paging structures, of the control bits and of the
; access, in every paging mode and page size, against the rules of SDM 3A 4.6 and 4.7; accessed and
; dirty bits, CR2 and error codes with it.
%include "common.inc"

; A combination: bits of the two entries, and of control registers and flags.
%define UP_P            1
%define UP_U            2
%define UP_W            4
%define UP_NX           8
%define LOW_P           16
%define LOW_U           32
%define LOW_W           64
%define LOW_NX          128
%define C_WP            256
%define C_SMEP          512
%define C_SMAP          1024
%define C_AC            2048
%define COMBOS          4096
%define RIGHTS_UP       (UP_P | UP_U | UP_W)

%define EFER_MSR        0xc0000080
%define READ            0
%define WRITE           1
%define EXECUTE         2

; Tables. Those of PAE and 32-bit paging lie where long mode's do not.
%define PD32            PLAY + 0x9000
%define PDPT_PAE        PLAY + 0xa000
%define PD_PAE          PLAY + 0xb000
%define TEST_PT         PLAY + 0xc000
%define USER_PT         PLAY + 0xd000
%define TEST_TABLE      PLAY + 0xe000   ; between an upper level and the entry under test
%define TEST_TABLE2     PLAY + 0xf000
%define TEST_PHYS       (PLAY + 0x100000) ; on a boundary of 2 MiB
%define USER_PHYS       (PLAY + 0x110000)
%define TEST_VA         0x800000
%define USER_VA         0xc00000

        bits    32
combo:  dq      0
kind:   dq      0
level:  dq      0
wanted: dq      0                       ; vector
wanted_error: dq 0
accesses: dq    0                       ; that were made in this case
; The mode under test. An upper entry that does not exist in it is `nowhere`.
upper_at: dq    0
upper_to: dq    0                       ; its address and whatever is not tried out
lower_at: dq    0
lower_to: dq    0
test_va: dq     0
must:   dq      0                       ; bits of combinations that are always set, never
never:  dq      0
told:   dq      0                       ; do error codes tell of fetches, without SMEP?
nxe:    dq      0
width:  dq      0                       ; bytes an entry
nowhere: dq     0

; What comes of the combination: `wanted`, `wanted_error`. 32- and 64-bit code alike.
%macro rules 0
        mov     ebx, [combo]
        mov     edx, [kind]
        xor     ecx, ecx                ; the error code
        cmp     edx, WRITE
        jne     %%not_write
        or      ecx, 2
%%not_write:
        cmp     edx, EXECUTE
        jne     %%not_fetch
        test    ebx, C_SMEP
        jnz     %%tell
        cmp     dword [told], 0
        je      %%not_fetch
%%tell: or      ecx, 16
%%not_fetch:
        cmp     dword [level], 3
        jne     %%kernel
        or      ecx, 4
%%kernel:
        ; the walk: presence and reserved bits of each entry in its turn
        test    ebx, UP_P
        jz      %%fault
        cmp     dword [nxe], 0
        jne     %%up_good
        test    ebx, UP_NX
        jnz     %%reserved
%%up_good:
        test    ebx, LOW_P
        jz      %%fault
        cmp     dword [nxe], 0
        jne     %%low_good
        test    ebx, LOW_NX
        jnz     %%reserved
%%low_good:
        or      ecx, 1
        mov     eax, ebx
        shr     eax, 4
        and     eax, ebx                ; UP_U and UP_W: of both
        cmp     edx, EXECUTE
        jne     %%data
        test    ebx, UP_NX | LOW_NX
        jnz     %%fault
%%data: cmp     dword [level], 3
        jne     %%by_kernel
        test    al, UP_U
        jz      %%fault
        cmp     edx, WRITE
        jne     %%fine
        test    al, UP_W
        jz      %%fault
        jmp     %%fine
%%by_kernel:
        test    al, UP_U
        jz      %%rights
        cmp     edx, EXECUTE
        jne     %%user_data
        test    ebx, C_SMEP
        jnz     %%fault
        jmp     %%fine
%%user_data:
        test    ebx, C_SMAP
        jz      %%rights
        test    ebx, C_AC
        jz      %%fault
%%rights:
        cmp     edx, WRITE
        jne     %%fine
        test    ebx, C_WP
        jz      %%fine
        test    al, UP_W
        jz      %%fault
%%fine: mov     dword [wanted], NOTHING
        cmp     dword [level], 3
        jne     %%end
        mov     dword [wanted], END
        jmp     %%end
%%reserved:
        or      ecx, 9
%%fault: mov    dword [wanted], 14
        mov     [wanted_error], ecx
%%end:
%endmacro

; entry AT, TO, P, U, W, NX: writes an entry of the combination in EBX. EDI, EAX, EDX are lost.
%macro entry 6
        mov     edi, [%1]
        mov     eax, [%2]
        test    ebx, %3
        jz      %%p
        or      al, 1
%%p:    test    ebx, %5
        jz      %%w
        or      al, 2
%%w:    test    ebx, %4
        jz      %%u
        or      al, 4
%%u:    mov     [edi], eax
        cmp     dword [width], 8
        jne     %%narrow
        xor     edx, edx
        test    ebx, %6
        jz      %%x
        mov     edx, 0x80000000
%%x:    mov     [edi + 4], edx
%%narrow:
%endmacro

%macro push_flags 1
%if %1 == 64
        push    qword [user_flags]
%else
        push    dword [user_flags]
%endif
%endmacro
%macro load_flags 1
        push_flags %1
%if %1 == 64
        popfq
%else
        popfd
%endif
%endmacro
%macro clear_flags 1
        push    2
%if %1 == 64
        popfq
%else
        popfd
%endif
%endmacro

; all_combos NAME, BITS
%macro all_combos 2
%assign l 0
%rep 2
%assign k READ
%rep 3
%if k == READ
  %define kind_name ', read'
%elif k == WRITE
  %define kind_name ', write'
%else
  %define kind_name ', execute'
%endif
%if l == 0
        case    %1, ', level 0', kind_name
%else
        case    %1, ', level 3', kind_name
%endif
        mov     dword [kind], k
        mov     dword [level], l
        call    run_combos%2
%assign k k + 1
%endrep
%assign l l + 3
%endrep
%endmacro

%macro run_body 2                       ; 32 or 64; registers' first letter
        mov     dword [combo], 0
        mov     dword [accesses], 0
%%next: mov     ebx, [combo]
        mov     eax, ebx
        and     eax, [must]
        cmp     eax, [must]
        jne     %%skip
        test    ebx, [never]
        jnz     %%skip
        inc     dword [accesses]
        entry   upper_at, upper_to, UP_P, UP_U, UP_W, UP_NX
        entry   lower_at, lower_to, LOW_P, LOW_U, LOW_W, LOW_NX
        rules
        mov     %2bx, cr0
        and     ebx, ~0x10000
        test    dword [combo], C_WP
        jz      %%no_wp
        or      ebx, 0x10000
%%no_wp: mov    cr0, %2bx
        mov     %2bx, cr4
        and     ebx, ~0x300000
        test    dword [combo], C_SMEP
        jz      %%no_smep
        or      ebx, 0x100000
%%no_smep:
        test    dword [combo], C_SMAP
        jz      %%no_smap
        or      ebx, 0x200000
%%no_smap: mov  cr4, %2bx
        mov     %2bx, cr3
        mov     cr3, %2bx
        mov     dword [user_flags], 2
        test    dword [combo], C_AC
        jz      %%no_ac
        mov     dword [user_flags], 0x40002
%%no_ac:
        mov     %2dx, [test_va]
        lea     %2bx, [%2dx + 8]
        mov     esi, [kind]
        cmp     dword [level], 3
        je      %%user
        try
        cmp     esi, WRITE
        jb      %%read
        ja      %%call
        load_flags %1
        mov     [%2bx], eax
        jmp     %%accessed
%%read: load_flags %1
        mov     eax, [%2bx]
        jmp     %%accessed
%%call: load_flags %1
        call    %2dx
%%accessed:
        clear_flags %1
        tried
        jmp     %%look
%%user: shl     esi, 4
        add     esi, USER_VA
        try
        push    UDATA
        push    USER_VA + 0xff0
        push_flags %1
%if %1 == 64
        push    UCODE64
        push    rsi
        iretq
%else
        push    UCODE
        push    esi
        mov     ax, UDATA
        mov     ds, ax
        iretd
%endif
        tried
%%look: mov     eax, [seen_vector]
        cmp     eax, [wanted]
        jne     %%bad
        mov     edi, [lower_at]
        cmp     eax, 14
        jne     %%was_fine
        mov     eax, [seen_error]
        cmp     eax, [wanted_error]
        jne     %%bad
        mov     %2ax, [seen_cr2]
        mov     %2cx, [test_va]
        cmp     dword [kind], EXECUTE
        je      %%fetch
        add     %2cx, 8
%%fetch: cmp    %2ax, %2cx
        jne     %%bad
        test    dword [edi], 0x40       ; never dirty by an access that faulted
        jnz     %%bad
        jmp     %%skip
%%was_fine:
        mov     eax, [edi]
        and     eax, 0x60
        mov     ecx, 0x20
        cmp     dword [kind], WRITE
        jne     %%clean
        or      ecx, 0x40
%%clean: cmp    eax, ecx
        jne     %%bad
        mov     edi, [upper_at]
        cmp     edi, nowhere
        je      %%skip
        mov     eax, [edi]              ; accessed; only pages become dirty
        and     eax, 0x60
        cmp     eax, 0x20
        je      %%skip
%%bad:  mov     eax, [combo]
        mov     [result], eax
        mov     edi, [upper_at]
        mov     eax, [edi]
        mov     [result + 8], eax
        mov     edi, [lower_at]
        mov     eax, [edi]
        mov     [result + 16], eax
        is      result, -1              ; the combination that failed, and its entries
        is      result + 8, -1
        is      result + 16, -1
        is      wanted, -1
        is      seen_vector, -1
        is      seen_error, -1
        is      wanted_error, -1
        is      seen_cr2, -1
        jmp     %%end
%%skip: inc     dword [combo]
        cmp     dword [combo], COMBOS
        jb      %%next
        mov     dword [result], 0       ; a mode that tries nothing has not passed
        cmp     dword [accesses], 128
        jae     %%end
        is      accesses, 128
%%end:  mov     %2bx, cr4
        and     ebx, ~0x300000
        mov     cr4, %2bx
        mov     dword [user_flags], 2
        ret
%endmacro

        bits    32
run_combos32:
        run_body 32, e

; The page with the user's accesses: at 0 a read, at 16 a write, at 32 a call; xBX is where, xDX the
; page, the same bytes in 32- and 64-bit code. And the page that is tested: a RET.
make_pages:
        mov     dword [USER_PHYS], 0x80cd038b   ; mov eax, [ebx]; int END
        mov     dword [USER_PHYS + 16], 0x80cd0389
        mov     dword [USER_PHYS + 32], 0x80cdd2ff
        mov     byte [TEST_PHYS], 0xc3
        mov     dword [USER_PT], USER_PHYS | 7
        mov     dword [USER_PT + 4], 0
        ret

clear_tables:
        mov     edi, PLAY
        xor     eax, eax
        mov     ecx, 0x10000 / 4
        rep     stosd
        jmp     make_pages

paging_off:
        mov     eax, cr0
        and     eax, 0x7fffffff
        mov     cr0, eax
        mov     eax, cr4
        and     eax, ~0x3000b0
        mov     cr4, eax
        ret
paging_on:                              ; CR3 in eax, PSE or PAE in ebx
        mov     cr3, eax
        mov     eax, cr4
        or      eax, ebx
        mov     cr4, eax
        mov     eax, cr0
        and     eax, ~0x60000000
        or      eax, 0x80000000
        mov     cr0, eax
        ret
set_nxe:                                ; to [nxe]
        mov     ecx, EFER_MSR
        rdmsr
        and     ah, ~8
        cmp     dword [nxe], 0
        je      .set
        or      ah, 8
.set:   wrmsr
        ret

; two TO_UPPER, AT_UPPER, TO_LOWER, AT_LOWER: both entries are tried out.
%macro two 4
        mov     dword [upper_at], %1
        mov     dword [upper_to], %2
        mov     dword [lower_at], %3
        mov     dword [lower_to], %4
        mov     dword [must], 0
        mov     dword [never], 0
%endmacro
; one AT, TO: there is no upper one whose rights count.
%macro one 2
        two     nowhere, 0, %1, %2
        mov     dword [must], RIGHTS_UP
        mov     dword [never], UP_NX
%endmacro

main:
        mov     dword [test_va], TEST_VA
        mov     dword [width], 4
        mov     dword [told], 0
        mov     dword [nxe], 1          ; it does not matter: there is no such bit
        call    set_nxe
        call    clear_tables
        mov     dword [PD32], 0x83
        mov     dword [PD32 + 12], USER_PT | 7
        mov     eax, PD32
        mov     ebx, 0x10
        call    paging_on
        two     PD32 + 8, TEST_PT, TEST_PT, TEST_PHYS
        mov     dword [never], UP_NX | LOW_NX
        all_combos '32-bit paging, 4 KiB', 32
        one     PD32 + 8, 0x80
        mov     dword [never], UP_NX | LOW_NX
        mov     dword [test_va], TEST_VA + TEST_PHYS
        all_combos '32-bit paging, 4 MiB', 32
        call    paging_off

        mov     dword [test_va], TEST_VA
        mov     dword [width], 8
        mov     dword [told], 1
        call    clear_tables
        mov     dword [PDPT_PAE], PD_PAE | 1
        mov     dword [PD_PAE], 0x83
        mov     dword [PD_PAE + 8], 0x200083
        mov     dword [PD_PAE + 48], USER_PT | 7
        mov     eax, PDPT_PAE
        mov     ebx, 0x20
        call    paging_on
        two     PD_PAE + 32, TEST_PT, TEST_PT, TEST_PHYS
        all_combos 'PAE, 4 KiB', 32
        one     PD_PAE + 32, TEST_PHYS | 0x80
        all_combos 'PAE, 2 MiB', 32
        mov     dword [nxe], 0
        mov     dword [told], 0
        call    set_nxe
        two     PD_PAE + 32, TEST_PT, TEST_PT, TEST_PHYS
        all_combos 'PAE without NXE, 4 KiB', 32
        one     PD_PAE + 32, TEST_PHYS | 0x80
        all_combos 'PAE without NXE, 2 MiB', 32
        call    paging_off
        jmp     main64

%include "long.inc"
        bits    64
run_combos64:
        run_body 64, r

        bits    32
main64: call    enter_long
        bits    64
        call    make_tables64
        mov     dword [nxe], 1
        mov     dword [told], 1
        ; the upper entry is each level above the page in turn
        two     PD + 32, TEST_PT, TEST_PT, TEST_PHYS
        all_combos '4-level, PDE and 4 KiB', 64
        mov     qword [TEST_TABLE], TEST_PT | 7
        mov     rax, 0x80000000
        mov     [test_va], rax
        two     PDPT + 16, TEST_TABLE, TEST_PT, TEST_PHYS
        all_combos '4-level, PDPTE and 4 KiB', 64
        mov     qword [TEST_TABLE2], TEST_TABLE | 7
        mov     rax, 1 << 47
        neg     rax
        mov     [test_va], rax
        two     PML4 + 256 * 8, TEST_TABLE2, TEST_PT, TEST_PHYS
        all_combos '4-level, PML4E and 4 KiB', 64
        two     PML4 + 256 * 8, TEST_TABLE2, TEST_TABLE, TEST_PHYS | 0x80
        all_combos '4-level, PML4E and 2 MiB', 64
        mov     dword [PML4 + 256 * 8], 0
        mov     rax, 0x80000000
        mov     [test_va], rax
        two     PDPT + 16, TEST_TABLE, TEST_TABLE, TEST_PHYS | 0x80
        all_combos '4-level, PDPTE and 2 MiB', 64
        mov     dword [PDPT + 16], 0
        mov     rax, (1 << 39) + TEST_PHYS
        mov     [test_va], rax
        two     PML4 + 8, TEST_TABLE, TEST_TABLE, 0x80
        all_combos '4-level, PML4E and 1 GiB', 64
        mov     dword [PML4 + 8], 0
        mov     dword [nxe], 0
        mov     dword [told], 0
        call    set_nxe64
        mov     qword [test_va], TEST_VA
        two     PD + 32, TEST_PT, TEST_PT, TEST_PHYS
        all_combos '4-level without NXE, PDE and 4 KiB', 64
        mov     rax, 0x80000000
        mov     [test_va], rax
        two     PDPT + 16, TEST_TABLE, TEST_TABLE, TEST_PHYS | 0x80
        all_combos '4-level without NXE, PDPTE and 2 MiB', 64
        jmp     finish64

make_tables64:
        mov     dword [PD], 0x83
        mov     dword [PD + 8], 0x200083
        mov     dword [USER_PHYS], 0x80cd038b
        mov     dword [USER_PT], USER_PHYS | 7
        mov     dword [PD + 48], USER_PT | 7
        mov     rax, cr3
        mov     cr3, rax
        ret
set_nxe64:
        mov     ecx, EFER_MSR
        rdmsr
        and     ah, ~8
        cmp     dword [nxe], 0
        je      .set
        or      ah, 8
.set:   wrmsr
        ret
