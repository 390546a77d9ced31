/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The ACPI tables, as a guest finds them: a small loader does the steps of etc/table-loader as
 * firmware does, then everything is reached from the RSDP. iasl and acpiexec, of the package the
 * build needs anyway, read the result too.
 */
#include "unit/fw_cfg_bench.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/error.h"
#include "bus/pci.h"
#include "device/hpet.h"
#include "machine/acpi.h"

enum { LOADER_ENTRY = 128, NAME_SIZE = 56, FILES = 2, HEADER = 36 };

/* What firmware has put into memory. */
struct loaded {
    const char *name;
    uint8_t *bytes;
    uint32_t length;
    uint64_t address;
};
static struct loaded files[FILES];

static int tear_down_files(void **state)
{
    for (int i = 0; i < FILES; i++)
        free(files[i].bytes);
    memset(files, 0, sizeof(files));
    return tear_down(state);
}

static struct acpi_board full_board(void)
{
    struct acpi_board board = {
        .cpus = 4,
        .apic_ids = {0, 1, 2, 3},
        .apic = true,
        .hpet = true,
        .vga = true,
        .serials = 0xf,
        .pm_base = 0x600,
        .gpe_base = 0xafe0,
        .pci32 = {0xc0000000, 0xfebfffff},
        .pci64 = {0x180000000, 0x97fffffff},
    };
    return board;
}

static struct acpi_board small_board(void)
{
    struct acpi_board board = {.cpus = 1, .pm_base = 0x600, .pci32 = {0xc0000000, 0xfebfffff}};
    return board;
}

/* The loader */

static struct loaded *find(const uint8_t *name)
{
    assert_non_null(memchr(name, 0, NAME_SIZE));
    for (int i = 0; i < FILES; i++)
        if (files[i].name && strcmp(files[i].name, (const char *)name) == 0)
            return &files[i];
    fail_msg("the loader has not allocated %s", (const char *)name);
    return NULL;
}

static void do_allocate(const uint8_t *entry)
{
    const char *name = (const char *)entry + 4;
    const struct fw_cfg_item *item = fw_cfg_find_file(&fw, name);
    assert_non_null(item);
    bool high = entry[64] == 1;
    assert_int_equal(entry[64], high ? 1 : 2);
    struct loaded *file = &files[high ? 0 : 1];
    assert_null(file->name);
    file->name = name;
    file->length = item->length;
    file->bytes = malloc(item->length);
    memcpy(file->bytes, item->data, item->length);
    uint32_t align = load_le32(entry + 60);
    assert_true(align && !(align & (align - 1)));
    file->address = high ? 0x7ffd0000 + align : 0xf5b00 + align;
}

static void do_pointer(const uint8_t *entry)
{
    struct loaded *in = find(entry + 4), *to = find(entry + 60);
    uint32_t offset = load_le32(entry + 116);
    uint8_t size = entry[120];
    assert_true(size == 4 || size == 8);
    assert_true(offset <= in->length && size <= in->length - offset);
    uint64_t value = load_le(in->bytes + offset, size);
    assert_true(value < to->length);
    store_le(in->bytes + offset, value + to->address, size);
}

static uint8_t sum(const uint8_t *bytes, size_t length)
{
    uint8_t total = 0;
    while (length--)
        total = (uint8_t)(total + *bytes++);
    return total;
}

static void do_checksum(const uint8_t *entry)
{
    struct loaded *file = find(entry + 4);
    uint32_t at = load_le32(entry + 60), start = load_le32(entry + 64);
    uint32_t length = load_le32(entry + 68);
    assert_true(start <= file->length && length <= file->length - start);
    assert_true(at >= start && at < start + length);
    assert_int_equal(file->bytes[at], 0);
    file->bytes[at] = (uint8_t)-sum(file->bytes + start, length);
}

static void load(const struct acpi_board *board)
{
    struct error err = {""};
    assert_int_equal(acpi_tables_add(&fw, board, &err), 0);
    const struct fw_cfg_item *loader = fw_cfg_find_file(&fw, "etc/table-loader");
    assert_non_null(loader);
    assert_int_equal(loader->length % LOADER_ENTRY, 0);
    for (uint32_t at = 0; at < loader->length; at += LOADER_ENTRY) {
        const uint8_t *entry = loader->data + at;
        switch (load_le32(entry)) {
        case 1:
            do_allocate(entry);
            break;
        case 2:
            do_pointer(entry);
            break;
        case 3:
            do_checksum(entry);
            break;
        default:
            fail_msg("unknown loader step");
        }
    }
}

/* Tables */

static const uint8_t *at_address(uint64_t address, uint32_t length)
{
    const struct loaded *file = &files[0];
    assert_true(address >= file->address && address - file->address <= file->length &&
                length <= file->length - (address - file->address));
    return file->bytes + (address - file->address);
}

static const uint8_t *table_at(uint64_t address)
{
    const uint8_t *table = at_address(address, HEADER);
    uint32_t length = load_le32(table + 4);
    assert_true(length >= HEADER);
    at_address(address, length);
    assert_int_equal(sum(table, length), 0);
    return table;
}

static const uint8_t *rsdp(void)
{
    assert_int_equal(files[1].length, 36);
    const uint8_t *bytes = files[1].bytes;
    assert_memory_equal(bytes, "RSD PTR ", 8);
    assert_int_equal(sum(bytes, 20), 0);
    assert_int_equal(sum(bytes, 36), 0);
    return bytes;
}

/* By the RSDT (size 4) or XSDT (8); NULL when it is not listed. */
static const uint8_t *find_table(const char *signature, unsigned size)
{
    const uint8_t *root = table_at(size == 4 ? load_le32(rsdp() + 16) : load_le64(rsdp() + 24));
    assert_memory_equal(root, size == 4 ? "RSDT" : "XSDT", 4);
    uint32_t length = load_le32(root + 4);
    assert_int_equal((length - HEADER) % size, 0);
    for (uint32_t at = HEADER; at < length; at += size) {
        const uint8_t *table = table_at(load_le(root + at, size));
        if (memcmp(table, signature, 4) == 0)
            return table;
    }
    return NULL;
}

static void test_every_table_is_found(void **state)
{
    (void)state;
    struct acpi_board board = full_board();
    load(&board);
    static const char *const names[] = {"FACP", "SSDT", "APIC", "HPET"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        assert_non_null(find_table(names[i], 4));
        assert_ptr_equal(find_table(names[i], 4), find_table(names[i], 8));
    }
    const uint8_t *fadt = find_table("FACP", 4);
    const uint8_t *facs = at_address(load_le32(fadt + 36), 64);
    assert_memory_equal(facs, "FACS", 4);
    assert_int_equal(load_le32(fadt + 36) % 64, 0);
    assert_int_equal(load_le32(facs + 4), 64);
    const uint8_t *dsdt = table_at(load_le32(fadt + 40));
    assert_memory_equal(dsdt, "DSDT", 4);
    assert_int_equal(load_le64(fadt + 140), load_le32(fadt + 40));
    assert_int_equal(load_le64(fadt + 132), 0);
}

static void test_what_is_absent_is_not_told(void **state)
{
    (void)state;
    struct acpi_board board = small_board();
    load(&board);
    assert_null(find_table("APIC", 4));
    assert_null(find_table("HPET", 8));
    const uint8_t *fadt = find_table("FACP", 4);
    assert_int_equal(load_le32(fadt + 80), 0); /* GPE0 */
    assert_int_equal(fadt[92], 0);
    assert_int_equal(load_le16(fadt + 109) & 4, 4); /* no VGA */
    const uint8_t *ssdt = find_table("SSDT", 4);
    uint32_t length = load_le32(ssdt + 4);
    assert_null(memmem(ssdt, length, "HPET", 4));
    assert_null(memmem(ssdt, length, "COM", 3));
    assert_null(memmem(ssdt, length, "CP01", 4));
    assert_non_null(memmem(ssdt, length, "CP00", 4));
}

static void test_fadt(void **state)
{
    (void)state;
    struct acpi_board board = full_board();
    load(&board);
    const uint8_t *fadt = find_table("FACP", 4);
    assert_int_equal(load_le32(fadt + 4), 244);
    assert_int_equal(fadt[8], 3);
    assert_int_equal(load_le16(fadt + 46), 9);      /* SCI */
    assert_int_equal(load_le32(fadt + 48), 0xb2);   /* SMI command */
    assert_int_equal(fadt[52], 0xf1);               /* ACPI on */
    assert_int_equal(fadt[53], 0xf0);               /* and off */
    assert_int_equal(load_le32(fadt + 56), 0x600);  /* PM1 event */
    assert_int_equal(load_le32(fadt + 64), 0x604);  /* PM1 control */
    assert_int_equal(load_le32(fadt + 76), 0x608);  /* timer */
    assert_int_equal(load_le32(fadt + 80), 0xafe0); /* GPE0 */
    assert_int_equal(fadt[88], 4);
    assert_int_equal(fadt[89], 2);
    assert_int_equal(fadt[91], 4);
    assert_int_equal(fadt[92], 4);
    assert_true(load_le16(fadt + 96) > 100);        /* no C2 */
    assert_true(load_le16(fadt + 98) > 1000);       /* no C3 */
    assert_int_equal(fadt[108], 0x32);              /* century */
    assert_int_equal(load_le16(fadt + 109), 3);     /* ISA chips, 8042, VGA */
    assert_int_equal(load_le32(fadt + 112), 0x465); /* power button by PM1 */
    assert_int_equal(fadt[116], 1);                 /* reset by port */
    assert_int_equal(load_le64(fadt + 120), 0xcf9);
    assert_int_equal(fadt[128], 6);
    assert_int_equal(load_le64(fadt + 148 + 4), 0x600);
    assert_int_equal(load_le64(fadt + 172 + 4), 0x604);
    assert_int_equal(load_le64(fadt + 208 + 4), 0x608);
    assert_int_equal(load_le64(fadt + 220 + 4), 0xafe0);
}

static void test_madt(void **state)
{
    (void)state;
    struct acpi_board board = full_board();
    board.apic_ids[3] = 6;
    load(&board);
    const uint8_t *madt = find_table("APIC", 4);
    uint32_t length = load_le32(madt + 4);
    assert_int_equal(load_le32(madt + 36), 0xfee00000);
    assert_int_equal(load_le32(madt + 40), 1);
    unsigned locals = 0, ios = 0, nmis = 0;
    uint16_t overridden = 0;
    for (uint32_t at = 44; at < length; at += madt[at + 1]) {
        const uint8_t *entry = madt + at;
        assert_true(entry[1] >= 6 && entry[1] <= length - at);
        switch (entry[0]) {
        case 0:
            assert_int_equal(entry[2], locals);
            assert_int_equal(entry[3], board.apic_ids[locals]);
            assert_int_equal(load_le32(entry + 4), 1);
            locals++;
            break;
        case 1:
            assert_int_equal(load_le32(entry + 4), 0xfec00000);
            assert_int_equal(load_le32(entry + 8), 0);
            ios++;
            break;
        case 2:
            overridden |= (uint16_t)(1u << entry[3]);
            assert_int_equal(load_le32(entry + 4), entry[3] == 0 ? 2 : entry[3]);
            assert_int_equal(load_le16(entry + 8), entry[3] == 0 ? 0 : 0xd);
            break;
        case 4:
            assert_int_equal(entry[2], 0xff);
            assert_int_equal(entry[5], 1);
            nmis++;
            break;
        default:
            fail_msg("unknown entry");
        }
    }
    assert_int_equal(locals, 4);
    assert_int_equal(ios, 1);
    assert_int_equal(nmis, 1);
    assert_int_equal(overridden, 1 << 0 | 1 << 5 | 1 << 9 | 1 << 10 | 1 << 11);
}

static void test_hpet(void **state)
{
    (void)state;
    struct acpi_board board = full_board();
    load(&board);
    const uint8_t *hpet = find_table("HPET", 4);
    assert_int_equal(load_le32(hpet + 4), 56);
    assert_int_equal(load_le32(hpet + 36), HPET_BLOCK_ID);
    assert_int_equal(load_le64(hpet + 44), HPET_BASE);
}

static void test_bad_boards(void **state)
{
    (void)state;
    struct error err;
    struct acpi_board board = full_board();
    board.cpus = 0;
    assert_int_equal(acpi_tables_add(&fw, &board, &err), -EINVAL);
    board.cpus = ACPI_CPUS_MAX + 1;
    assert_int_equal(acpi_tables_add(&fw, &board, &err), -EINVAL);
    board = full_board();
    board.pci32.end = 0;
    assert_int_equal(acpi_tables_add(&fw, &board, &err), -EINVAL);
    assert_null(fw_cfg_find_file(&fw, "etc/table-loader"));
}

/* _PRT, read out of the AML. */

static const uint8_t *skip_length(const uint8_t *aml)
{
    return aml + 1 + (aml[0] >> 6);
}

static const uint8_t *read_integer(const uint8_t *aml, uint32_t *value)
{
    unsigned size = aml[0] == 0x0a ? 1 : aml[0] == 0x0b ? 2 : 4;
    if (aml[0] <= 1) {
        *value = aml[0];
        return aml + 1;
    }
    *value = (uint32_t)load_le(aml + 1, size);
    return aml + 1 + size;
}

static void test_interrupt_routing_is_the_bus_wiring(void **state)
{
    (void)state;
    struct acpi_board board = full_board();
    load(&board);
    const uint8_t *ssdt = find_table("SSDT", 4);
    const uint8_t *prt = memmem(ssdt, load_le32(ssdt + 4), "_PRT", 4);
    assert_non_null(prt);
    assert_int_equal(prt[4], 0x12);
    const uint8_t *at = skip_length(prt + 5);
    assert_int_equal(*at++, 32 * 4);
    bool seen[32][4] = {0};
    for (int i = 0; i < 32 * 4; i++) {
        assert_int_equal(*at++, 0x12);
        at = skip_length(at);
        assert_int_equal(*at++, 4);
        uint32_t address, pin, zero;
        at = read_integer(at, &address);
        at = read_integer(at, &pin);
        const char *link = (const char *)at;
        at = read_integer(at + 4, &zero);
        assert_int_equal(zero, 0);
        assert_int_equal(address & 0xffff, 0xffff);
        uint32_t slot = address >> 16;
        assert_true(slot < 32 && pin < 4 && !seen[slot][pin]);
        seen[slot][pin] = true;
        char wanted[5] = "LNKA";
        wanted[3] = (char)('A' + pci_pirq(PCI_DEVFN(slot, 0), (uint8_t)(pin + 1)));
        if (slot == 1 && pin == 0)
            wanted[3] = 'S'; /* the PIIX's own power function */
        assert_memory_equal(link, wanted, 4);
    }
}

/* ACPICA's tools on the tables, in a folder of their own. */

static char folder[64];

/* Runs a shell command in the folder; what it says, to free. */
static char *run(const char *command, int *status)
{
    char line[1024];
    snprintf(line, sizeof(line), "cd %s && (%s) </dev/null 2>&1", folder, command);
    FILE *pipe = popen(line, "r");
    assert_non_null(pipe);
    enum { MAX = 1 << 20 };
    char *said = malloc(MAX);
    size_t length = fread(said, 1, MAX - 1, pipe);
    said[length] = 0;
    *status = pclose(pipe);
    return said;
}

static int set_up_folder(void **state)
{
    strcpy(folder, "/tmp/trapeze-acpi-XXXXXX");
    assert_non_null(mkdtemp(folder));
    return set_up(state);
}

static int tear_down_folder(void **state)
{
    int status;
    free(run("rm -f *.dat *.dsl *.aml", &status));
    assert_int_equal(rmdir(folder), 0);
    return tear_down_files(state);
}

static void write_table(const char *name, const uint8_t *table)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/%s.dat", folder, name);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    uint32_t length = load_le32(table + 4);
    assert_int_equal(fwrite(table, 1, length, f), length);
    assert_int_equal(fclose(f), 0);
}

static void write_tables(void)
{
    static const char *const names[] = {"FACP", "SSDT", "APIC", "HPET"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (find_table(names[i], 4))
            write_table(names[i], find_table(names[i], 4));
    write_table("DSDT", table_at(load_le32(find_table("FACP", 4) + 40)));
}

static void need_tool(const char *name)
{
    char line[128];
    snprintf(line, sizeof(line), "command -v %s >/dev/null", name);
    if (system(line) != 0) {
        print_message("# %s is not installed (acpica-tools)\n", name);
        skip();
    }
}

/* The data tables, the SSDT beside the DSDT whose names it uses, the DSDT; the last two must
 * compile again. 3168: that Processor is an old keyword; revision 1 has no other. */
static void check_disassembly(const struct acpi_board *board)
{
    need_tool("iasl");
    load(board);
    write_tables();
    int status;
    char *said =
        run("for f in FACP APIC HPET; do test ! -e $f.dat || iasl -d $f.dat || exit 1; done;"
            "iasl -e DSDT.dat -d SSDT.dat && iasl -d DSDT.dat &&"
            "iasl -we -p again DSDT.dsl && iasl -we -vw 3168 -p ssdt SSDT.dsl",
            &status);
    bool good = status == 0 && !strstr(said, "Error ") && !strstr(said, "Warning ") &&
                !strstr(said, "nvalid") && !strstr(said, "AE_");
    if (!good)
        fprintf(stderr, "%s\n", said);
    free(said);
    assert_true(good);
}

static void test_iasl_reads_the_full_board(void **state)
{
    (void)state;
    struct acpi_board board = full_board();
    check_disassembly(&board);
}

static void test_iasl_reads_the_small_board(void **state)
{
    (void)state;
    struct acpi_board board = small_board();
    check_disassembly(&board);
}

static void test_iasl_reads_the_most_processors(void **state)
{
    (void)state;
    struct acpi_board board = full_board();
    board.cpus = ACPI_CPUS_MAX;
    for (unsigned i = 0; i < ACPI_CPUS_MAX; i++)
        board.apic_ids[i] = (uint8_t)i;
    check_disassembly(&board);
}

/* Finds the texts in this order. */
static bool says(const char *said, const char *const *texts)
{
    const char *at = said;
    for (; *texts; texts++) {
        at = strstr(at, *texts);
        if (!at) {
            fprintf(stderr, "not there or not in its place: %s\nin:\n%s\n", *texts, said);
            return false;
        }
    }
    return true;
}

static void check_evaluation(const char *commands, const char *const *texts)
{
    need_tool("acpiexec");
    struct acpi_board board = full_board();
    load(&board);
    write_tables();
    char line[512];
    snprintf(line, sizeof(line), "acpiexec -b '%s' DSDT.dat SSDT.dat", commands);
    int status;
    char *said = run(line, &status);
    bool good = status == 0 && says(said, texts);
    free(said);
    assert_true(good);
}

/* acpiexec's regions are memory that begins as zeros. */
static void test_links_follow_their_registers(void **state)
{
    (void)state;
    static const char *const texts[] = {"Evaluation of \\_SB.LNKB._STA returned",
                                        "= 000000000000000B",            /* enabled */
                                        "evaluation of \\_SB.LNKB._DIS", /* off: */
                                        "Evaluation of \\_SB.LNKB._STA returned",
                                        "= 0000000000000009",
                                        "Evaluation of \\_SB.LNKB._CRS returned",
                                        "89 06 00 09 01 00 00 00 00 79",
                                        "evaluation of \\_SB.LNKB._SRS", /* to 10 */
                                        "Evaluation of \\_SB.LNKB._STA returned",
                                        "= 000000000000000B",
                                        "Evaluation of \\_SB.LNKB._CRS returned",
                                        "89 06 00 09 01 0A 00 00 00 79",
                                        "Evaluation of \\_SB.PCI0.ISA.PRQ0 returned",
                                        "= 0000000000000000",
                                        "Evaluation of \\_SB.PCI0.ISA.PRQ1 returned",
                                        "= 000000000000000A",
                                        NULL};
    check_evaluation("execute \\_SB.LNKB._STA; execute \\_SB.LNKB._DIS; execute \\_SB.LNKB._STA;"
                     "execute \\_SB.LNKB._CRS;"
                     "execute \\_SB.LNKB._SRS (89 06 00 09 01 0a 00 00 00 79 00);"
                     "execute \\_SB.LNKB._STA; execute \\_SB.LNKB._CRS;"
                     "execute \\_SB.PCI0.ISA.PRQ0; execute \\_SB.PCI0.ISA.PRQ1",
                     texts);
}

static void test_power_off_is_there_and_suspend_is_not(void **state)
{
    (void)state;
    static const char *const texts[] = {"\\_S5 returned",
                                        "Contains 4 Elements",
                                        "= 0000000000000000",
                                        "\\_S4 returned",
                                        "= 0000000000000002",
                                        "\\_S3 failed with status AE_NOT_FOUND",
                                        NULL};
    check_evaluation("execute \\_S5; execute \\_S4; execute \\_S3", texts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_every_table_is_found, set_up, tear_down_files),
        cmocka_unit_test_setup_teardown(test_what_is_absent_is_not_told, set_up, tear_down_files),
        cmocka_unit_test_setup_teardown(test_fadt, set_up, tear_down_files),
        cmocka_unit_test_setup_teardown(test_madt, set_up, tear_down_files),
        cmocka_unit_test_setup_teardown(test_hpet, set_up, tear_down_files),
        cmocka_unit_test_setup_teardown(test_bad_boards, set_up, tear_down_files),
        cmocka_unit_test_setup_teardown(test_interrupt_routing_is_the_bus_wiring, set_up,
                                        tear_down_files),
        cmocka_unit_test_setup_teardown(test_iasl_reads_the_full_board, set_up_folder,
                                        tear_down_folder),
        cmocka_unit_test_setup_teardown(test_iasl_reads_the_small_board, set_up_folder,
                                        tear_down_folder),
        cmocka_unit_test_setup_teardown(test_iasl_reads_the_most_processors, set_up_folder,
                                        tear_down_folder),
        cmocka_unit_test_setup_teardown(test_links_follow_their_registers, set_up_folder,
                                        tear_down_folder),
        cmocka_unit_test_setup_teardown(test_power_off_is_there_and_suspend_is_not, set_up_folder,
                                        tear_down_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
