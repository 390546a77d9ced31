/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The command line: good lines and what they come to, bad lines and the words their message must
 * have, and seeded nonsense that must end in one or the other.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/error.h"
#include "config/config.h"

#define WORDS_MAX 32

/* Words separated by single blanks; '~' stands for a blank inside a word. */
static int parse_line(struct config *config, const char *line, struct error *err)
{
    static char copy[1024];
    char *argv[WORDS_MAX + 1] = {"trapeze"};
    int argc = 1;
    assert_true(strlen(line) < sizeof(copy));
    strcpy(copy, line);
    for (char *word = strtok(copy, " "); word; word = strtok(NULL, " ")) {
        for (char *at = word; *at; at++)
            if (*at == '~')
                *at = ' ';
        assert_true(argc < WORDS_MAX);
        argv[argc++] = strcmp(word, "''") == 0 ? "" : word;
    }
    err->text[0] = '\0';
    return config_parse(config, argc, argv, err);
}

static void parse_good(struct config *config, const char *line)
{
    struct error err;
    if (parse_line(config, line, &err) < 0)
        fail_msg("%s: %s", line, err.text);
}

static void print_string(FILE *out, const char *name, const char *text)
{
    if (text)
        fprintf(out, " %s=%s", name, text);
}

/* All that differs from the defaults, in one line. */
static char *describe(const struct config *config)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    assert_non_null(out);
    if (config->action != ACTION_RUN)
        fprintf(out, " action=%d", config->action);
    if (strcmp(config->machine, "pc") != 0)
        print_string(out, "machine", config->machine);
    if (config->memory != MIB(128))
        fprintf(out, " memory=%llu", (unsigned long long)config->memory);
    print_string(out, "name", config->name);
    print_string(out, "cpu", config->cpu);
    for (size_t i = 0; i < config->accel_count; i++) {
        print_string(out, "accel", config->accels[i].name);
        print_string(out, "properties", config->accels[i].properties);
    }
    if (config->perfmap)
        fputs(" perfmap", out);
    if (config->jitdump)
        fputs(" jitdump", out);
    print_string(out, "kernel", config->kernel);
    print_string(out, "initrd", config->initrd);
    print_string(out, "append", config->append);
    print_string(out, "bios", config->bios);
    for (size_t i = 0; i < config->library_dir_count; i++)
        print_string(out, "L", config->library_dirs[i]);
    print_string(out, "order", config->boot_order);
    print_string(out, "once", config->boot_once);
    fputs(config->boot_menu ? " menu" : "", out);
    for (size_t i = 0; i < config->drive_count; i++) {
        const struct config_drive *drive = &config->drives[i];
        bool default_cd = !drive->file && drive->index == 2 && drive->media == MEDIA_CDROM;
        if (default_cd && strcmp(drive->id, "ide1-cd0") == 0)
            continue;
        fprintf(out, " %s%s%d:%s:%s",
                drive->interface == DRIVE_FLOPPY ? "fd"
                : drive->media == MEDIA_CDROM    ? "cd"
                                                 : "hd",
                drive->interface == DRIVE_NONE ? "!" : "", drive->index, drive->id,
                drive->file ? drive->file : "-");
        fprintf(out, "%s%s%s", drive->format ? ":raw" : "", drive->read_only ? ":ro" : "",
                drive->snapshot ? ":snap" : "");
    }
    for (size_t i = 0; i < config->serial_count; i++)
        print_string(out, "serial", config->serials[i]);
    print_string(out, "monitor", config->monitor);
    print_string(out, "debugcon", config->debugcon);
    for (size_t i = 0; i < config->chardev_count; i++)
        fprintf(out, " chardev=%s:%s", config->chardevs[i].id, config->chardevs[i].spec);
    fputs(config->display == DISPLAY_NOGRAPHIC ? " nographic" : "", out);
    fputs(config->vga == VGA_NONE ? " novga" : "", out);
    fputs(config->no_reboot ? " no-reboot" : "", out);
    fputs(config->no_shutdown ? " no-shutdown" : "", out);
    fputs(config->start_paused ? " S" : "", out);
    if (config->debug_exit.present)
        fprintf(out, " exit=%#x+%u", config->debug_exit.iobase, config->debug_exit.iosize);
    print_string(out, "d", config->log_items);
    print_string(out, "D", config->log_file);
    print_string(out, "base", config->rtc_base);
    print_string(out, "clock", config->rtc_clock);
    fputs(config->hpet ? "" : " nohpet", out);
    fputs(config->acpi ? "" : " noacpi", out);
    fclose(out);
    return text;
}

static const char *const good_lines[][2] = {
    {"", " serial=null"},
    {"-m 512M", " memory=536870912 serial=null"},
    {"--m 512", " memory=536870912 serial=null"},
    {"-m size=1.5G", " memory=1610612736 serial=null"},
    {"-m 0x200", " memory=536870912 serial=null"},
    {"-m 2048k", " memory=2097152 serial=null"},
    {"-m 512,slots=0", " memory=536870912 serial=null"},
    {"-m 1G -m 256", " memory=268435456 serial=null"},
    {"-smp 1", " serial=null"},
    {"-smp cpus=1,sockets=1,cores=1,threads=1", " serial=null"},
    {"-kernel k -initrd i -append root=/dev/sda~quiet,x -nographic",
     " kernel=k initrd=i append=root=/dev/sda quiet,x serial=mon:stdio nographic"},
    {"-kernel k -append ''", " kernel=k append= serial=null"},
    {"disk.img", " hd0:ide0-hd0:disk.img serial=null"},
    {"-hda a -hdb b -hdc c -hdd d",
     " hd0:ide0-hd0:a hd1:ide0-hd1:b hd2:ide1-hd0:c hd3:ide1-hd1:d serial=null"},
    {"-hda a,b", " hd0:ide0-hd0:a,b serial=null"},
    {"-cdrom c.iso", " cd2:ide1-cd0:c.iso:ro serial=null"},
    {"-fda a -fdb b", " fd0:floppy0:a fd1:floppy1:b serial=null"},
    {"-drive if=floppy -drive if=floppy,file=b,readonly=on -hda c",
     " fd0:floppy0:- fd1:floppy1:b:ro hd0:ide0-hd0:c serial=null"},
    {"-drive if=floppy,file=a,index=1", " fd1:floppy1:a serial=null"},
    {"-drive file=a,format=raw", " hd0:ide0-hd0:a:raw serial=null"},
    {"-drive file=a,,b=c", " hd0:ide0-hd0:a,b=c serial=null"},
    {"-drive file=a -drive file=b,readonly=on -drive file=c,media=cdrom",
     " hd0:ide0-hd0:a hd1:ide0-hd1:b:ro cd2:ide1-cd0:c:ro serial=null"},
    {"-drive file=a,bus=1,unit=1", " hd3:ide1-hd1:a serial=null"},
    {"-drive file=a,bus=1", " hd2:ide1-hd0:a serial=null"},
    {"-drive file=a,unit=1,id=x", " hd1:x:a serial=null"},
    {"-drive file=a,index=3,snapshot", " hd3:ide1-hd1:a:snap serial=null"},
    {"-drive if=none,file=a,id=d0 -drive if=none,file=b", " hd!-1:d0:a hd!-1:none1:b serial=null"},
    {"-drive file=a,cache=writeback,aio=threads,discard=ignore", " hd0:ide0-hd0:a serial=null"},
    {"-drive media=cdrom,file=,index=1", " cd1:ide0-cd1:-:ro serial=null"},
    {"-hda a -snapshot -hdb b", " hd0:ide0-hd0:a:snap hd1:ide0-hd1:b:snap serial=null"},
    {"-nographic", " serial=mon:stdio nographic"},
    {"-nographic -serial mon:stdio", " serial=mon:stdio nographic"},
    {"-nographic -serial null", " serial=null monitor=stdio nographic"},
    {"-nographic -monitor none", " serial=stdio nographic"},
    {"-nographic -monitor unix:/tmp/m,server,nowait",
     " serial=stdio monitor=unix:/tmp/m,server,nowait nographic"},
    {"-nographic -nodefaults", " nographic novga"},
    {"-nodefaults -vga std -serial none", " serial=none"},
    {"-display none -serial stdio -serial none -serial file:x",
     " serial=stdio serial=none serial=file:x"},
    {"-chardev stdio,id=c,mux=on -serial chardev:c -mon chardev=c,mode=readline",
     " serial=chardev:c monitor=chardev:c chardev=c:stdio,mux=on"},
    {"-chardev id=c,backend=null -mon c", " serial=null monitor=chardev:c chardev=c:backend=null"},
    {"-chardev file,path=a,,b,id=c", " serial=null chardev=c:file,path=a,,b"},
    {"-serial chardev:late -chardev pty,id=late", " serial=chardev:late chardev=late:pty"},
    {"-parallel none -no-user-config", " serial=null"},
    {"-no-reboot -no-shutdown -S", " serial=null no-reboot no-shutdown S"},
    {"-accel kvm -accel tcg,thread=multi", " accel=kvm accel=tcg serial=null"},
    {"-accel tcg,bmi2=off,guard-pages=no,fsgsbase -accel interp",
     " accel=tcg properties=bmi2=off,guard-pages=off,fsgsbase=on accel=interp serial=null"},
    {"-perfmap -accel dbt", " accel=dbt perfmap serial=null"},
    {"-jitdump", " jitdump serial=null"},
    {"-enable-kvm -accel interp", " accel=kvm accel=interp serial=null"},
    {"-machine pc,accel=kvm:tcg", " accel=kvm accel=tcg serial=null"},
    {"-M pc-i440fx-7.2,hpet=off,acpi=off,usb=off", " serial=null nohpet noacpi"},
    {"-machine type=pc-i440fx -no-hpet -no-acpi", " serial=null nohpet noacpi"},
    {"-machine hpet=off -machine hpet=on", " serial=null"},
    {"-cpu qemu64,+avx,-sse3", " cpu=qemu64,+avx,-sse3 serial=null"},
    {"-bios b.bin -L /a -L /b", " bios=b.bin L=/a L=/b serial=null"},
    {"-vga none", " serial=null novga"},
    {"-debugcon stdio", " serial=null debugcon=stdio"},
    {"-device isa-debug-exit", " serial=null exit=0x501+2"},
    {"-device isa-debug-exit,iobase=0xf4,iosize=0x04", " serial=null exit=0xf4+4"},
    {"-device driver=isa-debug-exit,iobase=0xfffe", " serial=null exit=0xfffe+2"},
    {"-d int,guest_errors -D log", " serial=null d=int,guest_errors D=log"},
    {"-name vm1", " name=vm1 serial=null"},
    {"-name guest=a,,b,debug-threads=on", " name=a,b serial=null"},
    {"-rtc base=localtime,clock=vm", " serial=null base=localtime clock=vm"},
    {"-rtc base=2006-06-17T16:01:21", " serial=null base=2006-06-17T16:01:21"},
    {"-boot d", " order=d serial=null"},
    {"-boot order=cd,once=d,menu=on", " order=cd once=d menu serial=null"},
    {"-boot menu=on,strict=off", " menu serial=null"},
};

static void test_good_lines(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(good_lines); i++) {
        struct config config;
        parse_good(&config, good_lines[i][0]);
        char *text = describe(&config);
        if (strcmp(text, good_lines[i][1]) != 0)
            fail_msg("'%s' came to '%s', not to '%s'", good_lines[i][0], text, good_lines[i][1]);
        free(text);
        config_fini(&config);
    }
}

/* A line, and words its message must have. */
static const char *const bad_lines[][3] = {
    {"-kernle k", "-kernle", "did you mean -kernel?"},
    {"--serail stdio", "--serail", "did you mean -serial?"},
    {"-nograph", "-nograph", "did you mean -nographic?"},
    {"-memory 5", "-memory", "-help"},
    {"-netdev user,id=n", "not supported", "-netdev"},
    {"-nic user", "not supported", "network"},
    {"-", "no such option", "-help"},
    {"--", "no such option", "-help"},
    {"-m", "-m needs an argument", "SIZE"},
    {"-m ''", "-m", "missing"},
    {"-m 0", "-m", "allowed: 1M to"},
    {"-m 1P", "-m", "allowed: 1M to 1020G"},
    {"-m 99999999999999999999", "-m", "allowed: 1M to"},
    {"-m 1.5X", "-m", "not a size"},
    {"-m -5", "-m", "not a size"},
    {"-m 0xG", "-m", "not a size"},
    {"-m 1G,slots=2,maxmem=4G", "not supported", "maxmem="},
    {"-m 1G,sice=2", "'sice'", "did you mean 'size'"},
    {"-smp 2", "not supported: more than one processor", "use -smp 1"},
    {"-smp cpus=1,cores=2", "more than one processor", "-smp"},
    {"-smp 0", "-smp", "allowed"},
    {"-smp x", "-smp", "allowed"},
    {"-initrd i", "-initrd", "-kernel"},
    {"-append a", "-append", "-kernel"},
    {"-kernel ''", "-kernel", "empty"},
    {"''", "-hda", "empty"},
    {"a b", "-hda", "already"},
    {"-hda a -drive file=b,index=0", "index=0", "already"},
    {"-drive file=a -hda b", "-hda", "already"},
    {"-hda a -hdb b -hdc c -hdd d -drive file=e", "-drive", "no room"},
    {"-drive file=a,if=virtio", "'virtio'", "allowed: ide, floppy, none"},
    {"-fda a -drive if=floppy,index=0", "index=0", "already"},
    {"-fda a -fdb b -drive if=floppy", "-drive", "two"},
    {"-drive if=floppy,index=2", "index=2", "0, 1"},
    {"-drive if=floppy,bus=1", "bus=1", "one"},
    {"-drive if=floppy,media=cdrom", "-drive", "cdrom"},
    {"-drive file=a,format=qcow2", "'qcow2'", "allowed: raw"},
    {"-drive file=a,cache=none", "'none'", "allowed: writeback, unsafe"},
    {"-drive file=a,media=cd", "'cd'", "cdrom"},
    {"-drive file=a,readonly=maybe", "readonly=maybe", "allowed: on, off"},
    {"-drive file=a,media=cdrom,readonly=off", "-drive", "CD-ROM"},
    {"-drive format=raw", "-drive", "file="},
    {"-drive file=", "-drive", "file="},
    {"-drive file", "file needs a value", "file="},
    {"-drive fiel=a", "'fiel'", "did you mean 'file'"},
    {"-drive file=a,index=4", "index=4", "0 to 3"},
    {"-drive file=a,index=1,bus=0", "index=", "bus="},
    {"-drive file=a,bus=2", "bus=2", "0 to 1"},
    {"-drive file=a,id=x -drive file=b,id=x", "id=x", "already"},
    {"-drive file=a,id=9", "id=9", "letter"},
    {"-boot x", "'x'", "allowed"},
    {"-boot cc", "'c'", "twice"},
    {"-boot menu=perhaps", "menu=perhaps", "on, off"},
    {"-boot order=", "-boot", "order"},
    {"-serial a -serial b -serial c -serial d -serial e", "-serial", "four"},
    {"-serial chardev:x", "-serial chardev:x", "no -chardev with id=x"},
    {"-monitor stdio -monitor pty", "-monitor", "more than one"},
    {"-mon chardev=x", "chardev:x", "no -chardev"},
    {"-chardev null,id=a -mon a,mode=control", "QMP", "readline"},
    {"-chardev stdio", "-chardev", "id= is missing"},
    {"-chardev id=a", "-chardev", "type is missing"},
    {"-chardev null,id=a -chardev null,id=a", "id=a", "already"},
    {"-chardev null,id=a,id=b", "id=b", "already"},
    {"-parallel stdio", "-parallel stdio", "allowed: none"},
    {"-display gtk", "-display gtk", "allowed: none"},
    {"-vga cirrus", "'cirrus'", "allowed: std, none"},
    {"-accel hax", "'hax'", "interp, dbt, tcg, kvm"},
    {"-accel tgc", "'tgc'", "did you mean 'tcg'"},
    {"-accel ''", "-accel", "interp, dbt, tcg, kvm"},
    {"-accel dbt,bmi3=off", "'bmi3'", "did you mean 'bmi2'"},
    {"-accel dbt,sse=off", "'sse'", "guard-pages, bmi2, fsgsbase"},
    {"-accel dbt,bmi2=perhaps", "bmi2=perhaps", "on, off"},
    {"-accel interp,bmi2=off", "-accel interp", "bmi2=off"},
    {"-accel bmi2=off", "-accel", "interp, dbt, tcg, kvm"},
    {"-machine pc,accel=kvm -accel tcg", "-machine accel=", "-accel"},
    {"-machine pc,accel=kvm:qvm", "'qvm'", "did you mean 'kvm'"},
    {"-M q35", "'q35'", "pc"},
    {"-M pc,usb=on", "not supported", "usb=on"},
    {"-device e1000", "-device e1000", "there is isa-debug-exit"},
    {"-device isa-debug-exit,iobase=0xffff", "iobase", "0xffff"},
    {"-device isa-debug-exit,iobase=0x10000", "iobase", "allowed"},
    {"-device isa-debug-exit,iosize=0", "iosize", "allowed"},
    {"-device isa-debug-exit -device isa-debug-exit", "isa-debug-exit", "already"},
    {"-device ''", "-device", "missing"},
    {"-rtc base=tomorrow", "tomorrow", "allowed: utc, localtime"},
    {"-rtc base=2006-13-17", "2006-13-17", "allowed: utc"},
    {"-rtc clock=rt", "'rt'", "allowed: host, vm"},
    {"-name process=x", "'process'", "allowed"},
};

static void test_bad_lines(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad_lines); i++) {
        struct config config;
        struct error err;
        const char *line = bad_lines[i][0];
        if (parse_line(&config, line, &err) == 0)
            fail_msg("'%s' was taken", line);
        for (int word = 1; word < 3; word++)
            if (!strstr(err.text, bad_lines[i][word]))
                fail_msg("'%s': no '%s' in: %s", line, bad_lines[i][word], err.text);
        assert_null(strchr(err.text, '\n'));
    }
}

static void test_actions(void **state)
{
    static const struct {
        const char *line;
        enum config_action action;
    } cases[] = {
        {"-help", ACTION_HELP},
        {"-h", ACTION_HELP},
        {"--help -nonsense", ACTION_HELP},
        {"-version", ACTION_VERSION},
        {"--version", ACTION_VERSION},
        {"-cpu help", ACTION_CPU_HELP},
        {"-M ?", ACTION_MACHINE_HELP},
        {"-machine help", ACTION_MACHINE_HELP},
        {"-accel help", ACTION_ACCEL_HELP},
        {"-device help", ACTION_DEVICE_HELP},
        {"-d help", ACTION_LOG_HELP},
        {"-vga help", ACTION_VGA_HELP},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct config config;
        parse_good(&config, cases[i].line);
        assert_int_equal(config.action, cases[i].action);
        config_fini(&config);
    }
}

static void test_default_cdrom(void **state)
{
    (void)state;
    struct config config;
    parse_good(&config, "-hda a");
    assert_int_equal(config.drive_count, 2);
    assert_int_equal(config.drives[1].index, 2);
    assert_int_equal(config.drives[1].media, MEDIA_CDROM);
    assert_null(config.drives[1].file);
    config_fini(&config);
    parse_good(&config, "-hdc a");
    assert_int_equal(config.drive_count, 1);
    config_fini(&config);
    parse_good(&config, "-nodefaults");
    assert_int_equal(config.drive_count, 0);
    assert_int_equal(config.serial_count, 0);
    config_fini(&config);
}

static void test_sizes(void **state)
{
    static const struct {
        const char *text;
        uint64_t bytes;
    } good[] = {
        {"0", 0},         {"1", 1},           {"1b", 1},
        {"3k", 3072},     {"0.5k", 512},      {"1.000000000000000000000001M", 1 << 20},
        {"0x10k", 16384}, {"7E", 7ull << 60}, {"0.1G", 107374182},
    };
    static const char *const bad[] = {
        "",      "k", ".5k", "1kk", "1 k", "-1", "+1", "8E", "1x", "0x", "99999999999999999999",
        "1.5.5", NULL};
    (void)state;
    uint64_t bytes;
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        assert_int_equal(config_parse_size(good[i].text, 1, &bytes, NULL), 0);
        assert_int_equal(bytes, good[i].bytes);
    }
    for (size_t i = 0; bad[i]; i++)
        assert_true(config_parse_size(bad[i], 1, &bytes, NULL) < 0);
    assert_int_equal(config_parse_size("2", MIB(1), &bytes, NULL), 0);
    assert_int_equal(bytes, MIB(2));
}

static void test_nearest(void **state)
{
    static const char *const words[] = {"kernel", "serial", "m", "hda", NULL};
    (void)state;
    assert_string_equal(config_nearest("kernal", words), "kernel");
    assert_string_equal(config_nearest("kerenl", words), "kernel");
    assert_null(config_nearest("monitor", words));
    assert_null(config_nearest("", words));
    char long_word[200];
    memset(long_word, 'a', sizeof(long_word));
    long_word[199] = '\0';
    assert_null(config_nearest(long_word, words));
}

/* Every option of the table appears in the help, and in a line of its own. */
static void test_help(void **state)
{
    static const char *const some[] = {"\n-m ",     "\n-kernel FILE", "\n-drive ", "\n-nographic\n",
                                       "\n-help\n", "Ctrl-A",         NULL};
    (void)state;
    char *text = config_help();
    assert_non_null(text);
    for (size_t i = 0; some[i]; i++)
        assert_non_null(strstr(text, some[i]));
    free(text);
}

static uint64_t next_random(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

/* A word of a good or bad line, perhaps with a byte changed, doubled or cut off. */
static void random_word(uint64_t *seed, char *word, size_t size)
{
    static const char spice[] = ",,==::-0.k\x80 \n\x01help";
    size_t i = next_random(seed) % (ARRAY_LEN(good_lines) + ARRAY_LEN(bad_lines));
    const char *line =
        i < ARRAY_LEN(good_lines) ? good_lines[i][0] : bad_lines[i - ARRAY_LEN(good_lines)][0];
    const char *from = line + (*line ? next_random(seed) % strlen(line) : 0);
    while (from > line && from[-1] != ' ')
        from--;
    snprintf(word, size, "%.*s", (int)strcspn(from, " "), from);
    size_t length = strlen(word);
    for (unsigned n = next_random(seed) % 4; n > 2 && length; n--) {
        char byte = spice[next_random(seed) % (sizeof(spice) - 1)];
        size_t at = next_random(seed) % length;
        if (next_random(seed) & 1)
            memmove(word + at + 1, word + at, length - at);
        word[at] = byte;
        length = strlen(word);
    }
}

static void test_nonsense(void **state)
{
    (void)state;
    uint64_t seed = 0x7261706574657a65;
    unsigned taken = 0, refused = 0;
    for (unsigned round = 0; round < 20000; round++) {
        char words[8][160];
        char *argv[9] = {"trapeze"};
        int argc = 1 + (int)(next_random(&seed) % 8);
        for (int i = 1; i < argc; i++) {
            random_word(&seed, words[i - 1], sizeof(words[0]) - 8);
            argv[i] = words[i - 1];
        }
        struct config config;
        struct error err = {""};
        if (config_parse(&config, argc, argv, &err) == 0) {
            if (config.action == ACTION_RUN)
                free(describe(&config));
            config_fini(&config);
            taken++;
        } else {
            assert_true(err.text[0] != '\0');
            refused++;
        }
    }
    assert_true(taken > 100 && refused > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_lines), cmocka_unit_test(test_bad_lines),
        cmocka_unit_test(test_actions),    cmocka_unit_test(test_default_cdrom),
        cmocka_unit_test(test_sizes),      cmocka_unit_test(test_nearest),
        cmocka_unit_test(test_help),       cmocka_unit_test(test_nonsense),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
