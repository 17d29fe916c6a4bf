/* The kept inputs of every target (test/fuzz/target.h), without libFuzzer.
 *
 * INPUT=path in the environment: the chosen tests run this one input instead. */
#include "test/fuzz/target.h"
#include "test/unit/unit.h"

#include <dirent.h>
#include <stdarg.h>

enum { INPUT_BYTES_MAX = 1 << 20, PATH_ROOM = 512 };

static struct fuzz_target *targets;
static char current[PATH_ROOM];

void fuzz_register(struct fuzz_target *target)
{
    target->next = targets;
    targets = target;
}

_Noreturn void fuzz_fail(const char *file, int line, const char *format, ...)
{
    char text[400];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    unit_fail(file, line, "%s\n    INPUT=%s", text, current);
}

static struct fuzz_target *find_target(const char *name)
{
    struct fuzz_target *target = targets;
    while (target && strcmp(target->name, name) != 0)
        target = target->next;
    CHECK(target != NULL);
    return target;
}

/* In a block of its own length: a read behind the end is seen. */
static void run_file(const struct fuzz_target *target)
{
    static uint8_t buf[INPUT_BYTES_MAX];
    FILE *file = fopen(current, "rb");
    CHECK(file != NULL);
    size_t size = fread(buf, 1, sizeof buf, file);
    fclose(file);
    uint8_t *data = malloc(size ? size : 1);
    CHECK(data != NULL);
    memcpy(data, buf, size);
    target->run(data, size);
    free(data);
}

static void run_corpus(const char *name)
{
    struct fuzz_target *target = find_target(name);
    char folder[PATH_ROOM / 2];
    int count = 0;
    const char *only = getenv("INPUT");
    if (only) {
        snprintf(current, sizeof current, "%s", only);
        run_file(target);
        return;
    }
    snprintf(folder, sizeof folder, "test/fuzz/corpus/%s", name);
    DIR *dir = opendir(folder);
    CHECK(dir != NULL);
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        if (entry->d_name[0] == '.')
            continue;
        snprintf(current, sizeof current, "%s/%.200s", folder, entry->d_name);
        run_file(target);
        count++;
    }
    closedir(dir);
    CHECK(count > 0);
}

TEST(corpus__pages_are_judged_and_then_read_safely)
{
    run_corpus("pages");
}

TEST(corpus__what_a_codec_accepts_it_writes_again)
{
    run_corpus("codecs");
}

TEST(corpus__any_log_is_recovered_or_refused)
{
    run_corpus("logs");
}

TEST(corpus__any_file_is_used_or_refused)
{
    run_corpus("files");
}

TEST(corpus__transactions_answer_as_the_model_does)
{
    run_corpus("rows");
}

TEST(corpus__mishaps_lose_nothing_acknowledged)
{
    run_corpus("mishaps");
}

TEST(corpus__commands_end_with_their_exit_codes)
{
    run_corpus("commands");
}

TEST(corpus__any_file_is_looked_at_and_salvaged)
{
    run_corpus("walcheck");
}

TEST(corpus__any_increment_is_applied_or_refused)
{
    run_corpus("increments");
}

static void run_forgeries(const char *name)
{
    enum { ROOM = 65536, FORGERIES = 60 };
    static uint8_t data[ROOM];
    const struct fuzz_target *target = find_target(name);
    uint64_t seed = unit_seed();
    size_t size = 0;
    for (uint64_t i = 0; i < FORGERIES; i++) {
        if (i % 12 == 0)
            size = 0;
        size = target->mutate(data, size, ROOM, seed + i);
        snprintf(current, sizeof current, "(forged, SEED=%llu, number %llu)",
                 (unsigned long long)seed, (unsigned long long)i);
        target->run(data, size);
    }
}

/* What the mutator makes of a recipe is a file that can be opened, or is refused. */
TEST(corpus__forged_files_are_used_or_refused)
{
    run_forgeries("files");
}

TEST(corpus__forged_files_are_looked_at_and_salvaged)
{
    run_forgeries("walcheck");
}
