/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Cases that once differed, as cpu-fuzz printed them, and some that must not be lost.
 */
#include "case.h"

const char *const regressions[] = {
    /* NOPs where the extension is missing: CET (Xen runs RDSSP without asking), MPX, CLDEMOTE. */
    "64 f3480f1ec9 rcx=123456789abcdef",
    "64 f30f1ec9 rcx=123456789abcdef",
    "64 f30f1efa",
    "64 f30f1efb",
    "64 f30f1bc1",
    "64 0f1c07 rdi=10100800",
    "64 0f1f440000",
    /* REX.W prevails over 66h. */
    "64 f33e66654f0fa0 rip=100410f9",
    "64 664d9d rip=10040cbd",
    "64 664c9c rip=10041fae",
    "64 66f226f2490fa8 rip=100410ce",
    /* Displacements to which something is added. */
    "64 488d05f8ffff7f",
    "64 8f8404fcffff7f rax=ffffffff80000104 rsp=10100800 10100800=0123456789abcdef",
    /* Lines of caches have addresses that can fault. */
    "32 0faeb81e7f011d rax=f30e80d5 rip=10041f2e",
    "32 650fae3cff rip=10041ffb",
    /* Branches and stacks at addresses that are not canonical. */
    "64 66c3 rsp=10101ff5 rip=10040ff8 10101ff5=68f2000000000010",
    "64 47ff27 r15=10101ff7 rip=10041305 10101ff7=21ee000000000010",
    "64 42f3ff96487a7b80 rsp=1000000000f399cf rsi=8f94a138 rip=10041552",
    "64 65444a8f41cb rcx=800 rsp=100000000005ea3f rip=10040ff5",
    "64 ff972add7403 rsp=10102f00 rdi=c9b293e rip=10041c36 10100668=d180000000000010",
    /* Which fault of two. */
    "64 66f30f5b645401 rsp=1000000000232498 rip=10040b8d",
    "32 67a6 rdi=ff rip=10040218",
    "32 676566f3a7 rcx=58 rip=10040b03",
    "32 f26c rip=100403e9",
    "64 f3f266416e rip=10041051",
    "32 622f rdi=10102ffc 10102ffc=0000803f",
    /* ARPL reads first; ENTER reads what it pushed. */
    "32 630a rip=10041542",
    "32 2e637c779a rdi=10100a58 rip=100410ee",
    "64 6666f36742c86700ab rsp=101005c0 rbp=101005c0 rip=10041c47",
    /* x87: no waiting; no store, no address. */
    "32 dbe1 fcw=340 fsw=98b1",
    "32 64dbe4 fcw=340 fsw=b697",
    "64 d99bf0ff388d rbx=1000000073b0869f rip=10040ff5 fcw=342 st0=72655b40e19b52a60000",
    "32 2e66dd09 rip=10041ce4 fcw=354 st0=248c8493d76be9b6ffff",
    "32 f36566d910 rip=10040ff3 fcw=178 fsw=3d48",
    /* An unmasked overflow hides what is inexact. */
    "64 f2410f5ccc mxcsr=810a y12=170000000000000018c82dcde3681e58f8b38a460000e0c0000000000000f07f",
    "64 f20f58c0 mxcsr=1a80 y0=ffffffffffffef7f0000807f000000807f000000000000009900000000000000",
    /* Encodings that only Knights Corner had. */
    "64 c421fabdd7 rip=100412b4",
    "64 c5fab8d8 rip=10040896",
    "64 c4c1fabce6 rip=10041975",
    /* A SIB byte without base, REX.B and 32-bit addresses. */
    "64 674d0f4f1cdd00081010 rip=10040fff",
    "64 6747df042500081010 rip=100404b1",
    /* Flags after a fault in REP SCAS. */
    "64 666664f24dae rax=80 rcx=17 rdi=10102ffe rip=100406fb",
    "64 f2f248af rax=3e rcx=647129ccf0135b1 rdi=10101c80 rip=10040fb2 flags=a86",
    /* Gathers that fault midway. */
    "64 c422f99104ff rdi=10102fe1 "
    "y0=ff03007cffff7f00000000000000008048cb518de7882f15000080bf0100004b "
    "y15=340000000000000019000000000000001e000000000000002c00000000000000",
    "32 c4c245932400 rax=100fffe4 "
    "y7=ffff7f7f0000c0ff251698a4aab4cf038f68fcbbefbecdc0ffff7f00ff03007c",
    /* How much is read: 512 bytes; 2; 8. */
    "64 0fae08 rax=10102e40",
    "64 66456368ff r8=10102ffe",
    "64 0fc78c25bd3e8e01 rbp=ffffffffed1d0b2",
    /* The privilege comes before the operand. */
    "64 660f38826dca rbp=1000000000f555f5",
    /* VEX.W outside of 64-bit code. */
    "32 c4c3f961fa82 rax=ffffffff rip=100414d8",
};
const unsigned regression_count = ARRAY_LEN(regressions);
