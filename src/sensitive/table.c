/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The instructions. Assembly stands beside the bytes where one instruction is not all of it.
 */
#include "sensitive/sensitive.h"

#include "base/bytes.h"

/* clang-format off */
const struct sensitive_instruction sensitive_instructions[] = {
    /* Robin and Irvine's: registers of the system. sub rsp,16; sgdt [rsp]; mov rax,[rsp+2]; add rsp,16 */
    {"SGDT", true, PRIVILEGE_UMIP, "shows where the GDT is",
     "\x48\x83\xec\x10\x0f\x01\x04\x24\x48\x8b\x44\x24\x02\x48\x83\xc4\x10", 17, {WAY_CHECKED, WAY_CHECKED}},
    {"SIDT", true, PRIVILEGE_UMIP, "shows where the IDT is",
     "\x48\x83\xec\x10\x0f\x01\x0c\x24\x48\x8b\x44\x24\x02\x48\x83\xc4\x10", 17, {WAY_CHECKED, WAY_CHECKED}},
    {"SLDT", true, PRIVILEGE_UMIP, "shows the LDT's selector", "\x31\xc0\x0f\x00\xc0", 5, {WAY_CHECKED, WAY_CHECKED}},
    {"STR", true, PRIVILEGE_UMIP, "shows the task register", "\x31\xc0\x0f\x00\xc8", 5, {WAY_CHECKED, WAY_CHECKED}},
    {"SMSW", true, PRIVILEGE_UMIP, "shows CR0", "\x31\xc0\x0f\x01\xe0", 5, {WAY_CHECKED, WAY_CHECKED}},
    /* pushf; pop rax */
    {"PUSHF", true, PRIVILEGE_NONE, "shows IF and IOPL", "\x9c\x58", 2, {WAY_ANSWERED, WAY_REWRITTEN}},
    /* pushf; xor qword [rsp],200h; popf; pushf; pop rax */
    {"POPF", true, PRIVILEGE_NONE, "leaves IF alone without a word",
     "\x9c\x48\x81\x34\x24\x00\x02\x00\x00\x9d\x9c\x58", 12, {WAY_ANSWERED, WAY_ANSWERED}},
    /* And of protection. mov ecx,cs; lar eax,ecx */
    {"LAR", true, PRIVILEGE_NONE, "shows descriptors of the real GDT", "\x8c\xc9\x0f\x02\xc1", 5, {WAY_ANSWERED, WAY_ANSWERED}},
    {"LSL", true, PRIVILEGE_NONE, "shows limits of the real GDT", "\x8c\xc9\x0f\x03\xc1", 5, {WAY_ANSWERED, WAY_ANSWERED}},
    /* xor eax,eax; mov ecx,ss; verr cx; sete al */
    {"VERR", true, PRIVILEGE_NONE, "asks with the real CPL", "\x31\xc0\x8c\xd1\x0f\x00\xe1\x0f\x94\xc0", 10, {WAY_ANSWERED, WAY_ANSWERED}},
    {"VERW", true, PRIVILEGE_NONE, "asks with the real CPL", "\x31\xc0\x8c\xd1\x0f\x00\xe9\x0f\x94\xc0", 10, {WAY_ANSWERED, WAY_ANSWERED}},
    /* push gs; pop rax */
    {"PUSH sreg", true, PRIVILEGE_NONE, "shows a selector with its RPL", "\x0f\xa8\x58", 3, {WAY_ANSWERED, WAY_ANSWERED}},
    /* push gs; pop gs; mov eax,gs */
    {"POP sreg", true, PRIVILEGE_NONE, "loads from the real GDT by the real CPL", "\x0f\xa8\x0f\xa9\x8c\xe8", 6, {WAY_ANSWERED, WAY_ANSWERED}},
    {"MOV r,sreg", true, PRIVILEGE_NONE, "shows the real CPL in CS", "\x8c\xc8", 2, {WAY_ANSWERED, WAY_ANSWERED}},
    /* mov ecx,ss; mov ss,ecx; mov eax,ss */
    {"MOV sreg,r", true, PRIVILEGE_NONE, "loads from the real GDT by the real CPL", "\x8c\xd1\x8e\xd1\x8c\xd0", 6, {WAY_ANSWERED, WAY_ANSWERED}},
    /* lea rdx,[target]; sub rsp,16; mov [rsp],edx; mov [rsp+4],cs; call far [rsp]; add rsp,16; jmp end;
     * target: mov eax,cs; retf */
    {"CALL far", true, PRIVILEGE_NONE, "goes by the real GDT and CPL",
     "\x48\x8d\x15\x14\x00\x00\x00\x48\x83\xec\x10\x89\x14\x24\x8c\x4c\x24\x04\xff\x1c\x24"
     "\x48\x83\xc4\x10\xeb\x03\x8c\xc8\xcb", 30, {WAY_ANSWERED, WAY_ANSWERED}},
    {"JMP far", true, PRIVILEGE_NONE, "goes by the real GDT and CPL",
     "\x48\x8d\x15\x0e\x00\x00\x00\x48\x83\xec\x10\x89\x14\x24\x8c\x4c\x24\x04\xff\x2c\x24"
     "\x48\x83\xc4\x10\x8c\xc8", 27, {WAY_ANSWERED, WAY_ANSWERED}},
    {"INT n", true, PRIVILEGE_NONE, "goes by the real IDT; the gate's DPL decides", "\xcd\x81", 2, {WAY_ANSWERED, WAY_ANSWERED}},
    /* lea rdx,[target]; mov ecx,cs; push rcx; push rdx; retfq; target: mov eax,cs */
    {"RET far", true, PRIVILEGE_NONE, "goes by the real GDT and CPL",
     "\x48\x8d\x15\x06\x00\x00\x00\x8c\xc9\x51\x52\x48\xcb\x8c\xc8", 15, {WAY_ANSWERED, WAY_ANSWERED}},
    /* sub rsp,16; mov dword [rsp],0; mov [rsp+4],gs; lgs eax,[rsp]; mov eax,gs; add rsp,16 */
    {"LGS and kin", false, PRIVILEGE_NONE, "loads from the real GDT by the real CPL",
     "\x48\x83\xec\x10\xc7\x04\x24\x00\x00\x00\x00\x8c\x6c\x24\x04\x0f\xb5\x04\x24\x8c\xe8\x48\x83\xc4\x10", 25,
     {WAY_ANSWERED, WAY_ANSWERED}},
    /* lea rdx,[target]; mov rax,rsp; mov ecx,ss; push rcx; push rax; pushf; mov ecx,cs; push rcx; push rdx;
     * iretq; target: pushf; pop rax */
    {"IRET", false, PRIVILEGE_NONE, "leaves IF and IOPL alone without a word",
     "\x48\x8d\x15\x0e\x00\x00\x00\x48\x89\xe0\x8c\xd1\x51\x50\x9c\x8c\xc9\x51\x52\x48\xcf\x9c\x58", 23, {WAY_ANSWERED, WAY_ANSWERED}},
    /* And those that lead into the real system. mov eax,39 (getpid); syscall */
    {"SYSCALL", false, PRIVILEGE_NONE, "goes where the real MSRs say",
     "\xb8\x27\x00\x00\x00\x0f\x05", 7, {WAY_ANSWERED, WAY_ANSWERED}},
    /* mov eax,20 (i386's getpid); sysenter */
    {"SYSENTER", false, PRIVILEGE_NONE, "goes where the real MSRs say",
     "\xb8\x14\x00\x00\x00\x0f\x34", 7, {WAY_ANSWERED, WAY_ANSWERED}},
    /* Later ones that tell of the real machine. */
    {"CPUID", false, PRIVILEGE_NONE, "shows the real processor", "\x31\xc0\x0f\xa2\x89\xd8", 6, {WAY_ANSWERED, WAY_ANSWERED}},
    {"XGETBV", false, PRIVILEGE_NONE, "shows XCR0", "\x31\xc9\x0f\x01\xd0", 5, {WAY_ANSWERED, WAY_ANSWERED}},
    {"RDTSC", false, PRIVILEGE_TSD, "shows the real time", "\x0f\x31", 2, {WAY_CHECKED, WAY_REWRITTEN}},
    {"RDTSCP", false, PRIVILEGE_TSD, "shows the real time and TSC_AUX", "\x0f\x01\xf9\x89\xc8", 5, {WAY_CHECKED, WAY_REWRITTEN}},
    {"RDPID", false, PRIVILEGE_NONE, "shows TSC_AUX", "\xf3\x0f\xc7\xf8", 4, {WAY_ANSWERED, WAY_ANSWERED}},
    {"RDPMC", false, PRIVILEGE_PCE, "shows performance counters", "\x31\xc9\x0f\x33", 4, {WAY_CHECKED, WAY_CHECKED}},
    /* The privileged ones. */
    {"CLI", false, PRIVILEGE_IOPL, "changes IF", "\xfa", 1, {WAY_CHECKED, WAY_REWRITTEN}},
    {"STI", false, PRIVILEGE_IOPL, "changes IF", "\xfb", 1, {WAY_CHECKED, WAY_REWRITTEN}},
    {"IN", false, PRIVILEGE_IOPL, "reaches devices", "\xe4\x80", 2, {WAY_CHECKED, WAY_CHECKED}},
    {"OUT", false, PRIVILEGE_IOPL, "reaches devices", "\xe6\x80", 2, {WAY_CHECKED, WAY_CHECKED}},
    {"INS", false, PRIVILEGE_IOPL, "reaches devices", "\xba\x80\x00\x00\x00\x48\x89\xe7\x6c", 9, {WAY_CHECKED, WAY_CHECKED}},
    {"OUTS", false, PRIVILEGE_IOPL, "reaches devices", "\xba\x80\x00\x00\x00\x48\x89\xe6\x6e", 9, {WAY_CHECKED, WAY_CHECKED}},
    {"HLT", false, PRIVILEGE_LEVEL0, "stops the processor", "\xf4", 1, {WAY_CHECKED, WAY_CHECKED}},
    {"LGDT", false, PRIVILEGE_LEVEL0, "changes GDTR", "\x0f\x01\x14\x24", 4, {WAY_CHECKED, WAY_CHECKED}},
    {"LIDT", false, PRIVILEGE_LEVEL0, "changes IDTR", "\x0f\x01\x1c\x24", 4, {WAY_CHECKED, WAY_CHECKED}},
    {"LLDT", false, PRIVILEGE_LEVEL0, "changes LDTR", "\x31\xc0\x0f\x00\xd0", 5, {WAY_CHECKED, WAY_CHECKED}},
    {"LTR", false, PRIVILEGE_LEVEL0, "changes the task register", "\x31\xc0\x0f\x00\xd8", 5, {WAY_CHECKED, WAY_CHECKED}},
    {"LMSW", false, PRIVILEGE_LEVEL0, "changes CR0", "\x31\xc0\x0f\x01\xf0", 5, {WAY_CHECKED, WAY_CHECKED}},
    {"CLTS", false, PRIVILEGE_LEVEL0, "changes CR0", "\x0f\x06", 2, {WAY_CHECKED, WAY_CHECKED}},
    {"MOV r,CRn", false, PRIVILEGE_LEVEL0, "shows CR0", "\x0f\x20\xc0", 3, {WAY_CHECKED, WAY_CHECKED}},
    {"MOV CRn,r", false, PRIVILEGE_LEVEL0, "changes CR3", "\x0f\x22\xd8", 3, {WAY_CHECKED, WAY_CHECKED}},
    {"MOV r,CR8", false, PRIVILEGE_LEVEL0, "shows the task priority", "\x44\x0f\x20\xc0", 4, {WAY_CHECKED, WAY_CHECKED}},
    {"MOV r,DRn", false, PRIVILEGE_LEVEL0, "shows DR7", "\x0f\x21\xf8", 3, {WAY_CHECKED, WAY_CHECKED}},
    {"MOV DRn,r", false, PRIVILEGE_LEVEL0, "changes DR7", "\x0f\x23\xf8", 3, {WAY_CHECKED, WAY_CHECKED}},
    {"INVLPG", false, PRIVILEGE_LEVEL0, "changes the TLB", "\x0f\x01\x3c\x24", 4, {WAY_CHECKED, WAY_CHECKED}},
    {"INVPCID", false, PRIVILEGE_LEVEL0, "changes the TLB", "\x31\xc0\x66\x0f\x38\x82\x04\x24", 8, {WAY_CHECKED, WAY_CHECKED}},
    {"INVD", false, PRIVILEGE_LEVEL0, "changes caches", "\x0f\x08", 2, {WAY_CHECKED, WAY_CHECKED}},
    {"WBINVD", false, PRIVILEGE_LEVEL0, "changes caches", "\x0f\x09", 2, {WAY_CHECKED, WAY_CHECKED}},
    {"RDMSR", false, PRIVILEGE_LEVEL0, "shows an MSR", "\xb9\x1b\x00\x00\x00\x0f\x32", 7, {WAY_CHECKED, WAY_CHECKED}},
    {"WRMSR", false, PRIVILEGE_LEVEL0, "changes an MSR", "\xb9\x1b\x00\x00\x00\x0f\x30", 7, {WAY_CHECKED, WAY_CHECKED}},
    {"XSETBV", false, PRIVILEGE_LEVEL0, "changes XCR0", "\x31\xc9\x31\xd2\xb8\x01\x00\x00\x00\x0f\x01\xd1", 12, {WAY_CHECKED, WAY_CHECKED}},
    {"SWAPGS", false, PRIVILEGE_LEVEL0, "changes GS", "\x0f\x01\xf8", 3, {WAY_CHECKED, WAY_REWRITTEN}},
    {"SYSRET", false, PRIVILEGE_LEVEL0, "changes the level", "\x0f\x07", 2, {WAY_CHECKED, WAY_CHECKED}},
    {"SYSEXIT", false, PRIVILEGE_LEVEL0, "changes the level", "\x0f\x35", 2, {WAY_CHECKED, WAY_CHECKED}},
    {"CLAC", false, PRIVILEGE_LEVEL0, "changes AC", "\x0f\x01\xca", 3, {WAY_CHECKED, WAY_CHECKED}},
    {"STAC", false, PRIVILEGE_LEVEL0, "changes AC", "\x0f\x01\xcb", 3, {WAY_CHECKED, WAY_CHECKED}},
    {"MONITOR", false, PRIVILEGE_LEVEL0, "watches memory", "\x31\xc9\x48\x89\xe0\x0f\x01\xc8", 8, {WAY_CHECKED, WAY_CHECKED}},
    {"MWAIT", false, PRIVILEGE_LEVEL0, "stops the processor", "\x31\xc9\x31\xc0\x0f\x01\xc9", 7, {WAY_CHECKED, WAY_CHECKED}},
    {"WBNOINVD", false, PRIVILEGE_LEVEL0, "changes caches", "\xf3\x0f\x09", 3, {WAY_CHECKED, WAY_CHECKED}},
    /* The second is given what the first has stored. */
    {"XSAVES", false, PRIVILEGE_LEVEL0, "shows supervisor state", "\x31\xc0\x31\xd2\x0f\xc7\x2c\x24", 8, {WAY_CHECKED, WAY_CHECKED}},
    {"XRSTORS", false, PRIVILEGE_LEVEL0, "changes supervisor state", "\x31\xc0\x31\xd2\x0f\xc7\x1c\x24", 8, {WAY_CHECKED, WAY_CHECKED}},
    {"RSM", false, PRIVILEGE_LEVEL0, "leaves SMM", "\x0f\xaa", 2, {WAY_CHECKED, WAY_CHECKED}},
    /* What no model of ours has. */
    {"UMWAIT", false, PRIVILEGE_TSD, "waits for the real time", "\x31\xc0\x31\xd2\x31\xc9\xf2\x0f\xae\xf1", 10, {WAY_ABSENT, WAY_ABSENT}},
    {"TPAUSE", false, PRIVILEGE_TSD, "waits for the real time", "\x31\xc0\x31\xd2\x31\xc9\x66\x0f\xae\xf1", 10, {WAY_ABSENT, WAY_ABSENT}},
    {"RDPRU", false, PRIVILEGE_TSD, "shows performance counters", "\x31\xc9\x0f\x01\xfd", 5, {WAY_ABSENT, WAY_ABSENT}},
    {"VMCALL", false, PRIVILEGE_NONE, "reaches a hypervisor", "\xb8\xff\xff\xff\xff\x0f\x01\xc1", 8, {WAY_ABSENT, WAY_ABSENT}},
    {"VMMCALL", false, PRIVILEGE_NONE, "reaches a hypervisor", "\xb8\xff\xff\xff\xff\x0f\x01\xd9", 8, {WAY_ABSENT, WAY_ABSENT}},
    {"VMFUNC", false, PRIVILEGE_NONE, "changes EPT", "\xb8\x7f\x00\x00\x00\x0f\x01\xd4", 8, {WAY_ABSENT, WAY_ABSENT}},
    {"VMXON", false, PRIVILEGE_LEVEL0, "begins VMX", "\xf3\x0f\xc7\x34\x24", 5, {WAY_ABSENT, WAY_ABSENT}},
    {"VMXOFF", false, PRIVILEGE_LEVEL0, "ends VMX", "\x0f\x01\xc4", 3, {WAY_ABSENT, WAY_ABSENT}},
    {"VMLAUNCH", false, PRIVILEGE_LEVEL0, "enters a guest", "\x0f\x01\xc2", 3, {WAY_ABSENT, WAY_ABSENT}},
    {"VMRESUME", false, PRIVILEGE_LEVEL0, "enters a guest", "\x0f\x01\xc3", 3, {WAY_ABSENT, WAY_ABSENT}},
    {"VMPTRLD", false, PRIVILEGE_LEVEL0, "changes the VMCS", "\x0f\xc7\x34\x24", 4, {WAY_ABSENT, WAY_ABSENT}},
    {"VMPTRST", false, PRIVILEGE_LEVEL0, "shows the VMCS", "\x0f\xc7\x3c\x24", 4, {WAY_ABSENT, WAY_ABSENT}},
    {"VMCLEAR", false, PRIVILEGE_LEVEL0, "changes the VMCS", "\x66\x0f\xc7\x34\x24", 5, {WAY_ABSENT, WAY_ABSENT}},
    {"VMREAD", false, PRIVILEGE_LEVEL0, "shows the VMCS", "\x31\xc0\x0f\x78\xc1", 5, {WAY_ABSENT, WAY_ABSENT}},
    {"VMWRITE", false, PRIVILEGE_LEVEL0, "changes the VMCS", "\x31\xc0\x0f\x79\xc1", 5, {WAY_ABSENT, WAY_ABSENT}},
    {"INVEPT", false, PRIVILEGE_LEVEL0, "changes the TLB", "\x31\xc0\x66\x0f\x38\x80\x04\x24", 8, {WAY_ABSENT, WAY_ABSENT}},
    {"INVVPID", false, PRIVILEGE_LEVEL0, "changes the TLB", "\x31\xc0\x66\x0f\x38\x81\x04\x24", 8, {WAY_ABSENT, WAY_ABSENT}},
    {"VMRUN", false, PRIVILEGE_LEVEL0, "enters a guest", "\x31\xc0\x0f\x01\xd8", 5, {WAY_ABSENT, WAY_ABSENT}},
    {"VMLOAD", false, PRIVILEGE_LEVEL0, "changes hidden state", "\x31\xc0\x0f\x01\xda", 5, {WAY_ABSENT, WAY_ABSENT}},
    {"VMSAVE", false, PRIVILEGE_LEVEL0, "shows hidden state", "\x31\xc0\x0f\x01\xdb", 5, {WAY_ABSENT, WAY_ABSENT}},
    {"STGI", false, PRIVILEGE_LEVEL0, "changes GIF", "\x0f\x01\xdc", 3, {WAY_ABSENT, WAY_ABSENT}},
    {"CLGI", false, PRIVILEGE_LEVEL0, "changes GIF", "\x0f\x01\xdd", 3, {WAY_ABSENT, WAY_ABSENT}},
    {"SKINIT", false, PRIVILEGE_LEVEL0, "starts anew", "\x31\xc0\x0f\x01\xde", 5, {WAY_ABSENT, WAY_ABSENT}},
    {"INVLPGA", false, PRIVILEGE_LEVEL0, "changes the TLB", "\x31\xc0\x31\xc9\x0f\x01\xdf", 7, {WAY_ABSENT, WAY_ABSENT}},
    {"GETSEC", false, PRIVILEGE_LEVEL0, "reaches SMX", "\x31\xc0\x0f\x37", 4, {WAY_ABSENT, WAY_ABSENT}},
    {"ENCLS", false, PRIVILEGE_LEVEL0, "changes enclaves", "\x31\xc0\x0f\x01\xcf", 5, {WAY_ABSENT, WAY_ABSENT}},
};
/* clang-format on */
_Static_assert(ARRAY_LEN(sensitive_instructions) <= SENSITIVE_MOST, "room in print.c");
const unsigned sensitive_count = ARRAY_LEN(sensitive_instructions);
