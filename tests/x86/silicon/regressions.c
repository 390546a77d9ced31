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
    "64 488d05ffffff7f",
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
    /* Segments: selectors are read and written as two bytes. */
    "64 cae3d6 rsp=10102ff9 rip=100409c6",
    "64 0fa1 rsp=10102fee rip=10041a94 flags=40252",
    "32 16 rsp=10100806 10100800=ffffffffffffffffffff",
    "32 f216 rsp=100ffff2 rip=100409b2 flags=40a57",
    /* Far branches between modes: whose stack, how wide an offset. */
    "32 f29a801304103300 rsp=ff6 rip=100407cc es=1f ss=37",
    "16 ca01cc rsp=30009c80 rip=100406e2 es=47 ss=3f fs=2f gs=2f 10101c80=4b0b3300",
    "16 cafeff rsp=300098c0 rip=100415b5 ss=2f 101018c0=26033300",
    "16 66caf8ff rsp=300098c0 rip=100415b5 ss=2f 101018c0=2603000033000000",
    "64 f3ff5853 rax=10100f9a rsp=1000000000f3730f rip=100415dc 10100fed=b21100001700",
    "64 676666664fff1e r14=10101cc0 rip=10041b81 10101cc0=50ae00000000001023",
    /* Alignment: before the page; far pointers, 80 bits, x87 environments; not VMASKMOV. */
    "64 3ed1937fff0edd rip=10041cd5 flags=40242",
    "64 d923 rbx=10100593 rip=10040008 flags=40a42",
    "32 db6a00 rdx=10102fcb rip=10040fb0 flags=40293 es=37 cs=1f ss=47",
    "64 364fdb3b r11=10102fdb rip=100409e5 flags=40282",
    "16 0fb432 rbp=9a rip=10040d35 flags=40216 fs=3f gs=37",
    "16 6466c82d04a4 rbp=101018c0 rip=10041ffa flags=40a13 ds=2f fs=4f",
    "16 c4c2552e568c rbp=61f456cd rip=10040f51 flags=40212 fs=2f "
    "y5=0100004b003c003c0100004b000000cf444f63864019e1c03443e5c60000ba42",
    "32 c4e279131e rsi=101015cf rip=10040a87 flags=402d3 es=47 ss=47 fs=2b",
    "32 c4c201921442 rdx=10101640 rip=10040df6 flags=40a53 "
    "y0=1a000000390000000c000000340000003500000011000000370000000e000000 "
    "y7=d00bb5cf7c0583b0a48545e374c88d50003c003c0000c0ffff03007c0100004b",
    /* A misaligned vector comes before the stack segment's limit. */
    "32 360f5eb833008ff5 rax=1a810fb6 rip=10041ff8 es=2f cs=1f ss=47 ds=37 fs=2b",
    /* Which fault of two, and what it leaves as it was. */
    "32 672ee15c rip=10040ff6 flags=257 cs=27 gs=3f",
    "16 f236a4 rcx=c rip=10040ebe es=47 cs=17 ds=0 fs=2f gs=37",
    "32 66e87414 rsp=2880 rip=1004066d es=37 cs=27 ss=37 ds=f gs=2b",
    "32 f3f0f30f83d1f1ffff rip=10040ff8 cs=27 ss=47 ds=2f",
    /* 66h does not narrow it. */
    "64 f32666640faec9 rip=10040621",
    "64 6766f3640faec5 rip=10040655",
};
const unsigned regression_count = ARRAY_LEN(regressions);
