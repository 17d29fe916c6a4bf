/* Many processes that work on one file, and are killed and stopped at any moment:
 * writers, readers beside them, and such that come and go.  Each round ends with an
 * audit: what was acknowledged is there, nothing is there in part, and no page is out of
 * order.
 *
 * MANY_SECONDS is how long it takes; when the ledger of one store may soon be full the
 * next one begins. */
#include "test/many/bank.h"
#include "test/many/crew.h"

#include <sys/mman.h>
#include <unistd.h>

enum { ROUND_SECONDS = 5, ROUNDS_MAX = 200, SECONDS_DEFAULT = 2, STORE_SECONDS = 200 };

struct stress {
    const char *path;
    struct bank_book *book;
    struct crew crew;
};

static bool goes_on(const struct stress *stress)
{
    return !atomic_load(&stress->crew.signs->is_over);
}

static struct bank bank_of(const struct stress *stress)
{
    return (struct bank){.book = stress->book, .dice = stress->crew.dice | 1};
}

static void care(const struct stress *stress, struct bank *bank)
{
    uint32_t chance = crew_roll(&bank->dice, 300);
    scn_status st = SCN_OK;
    if (chance < 4)
        st = scn_checkpoint(bank->db);
    else if (chance < 8)
        st = scn_tick(bank->db, 1);
    else if (chance == 8)
        st = scn_check(bank->db, SCN_CHECK_QUICK, NULL, NULL, NULL);
    else if (chance == 9)
        st = scn_put1(bank->db, "single", (scn_slice){"key", 3}, (scn_slice){"", 0});
    if (st != SCN_BUSY)
        MUST_OK(st);
    crew_note_gen(stress->crew.signs, bank->db);
}

/* Many are short, for the sake of opening and closing. */
static uint32_t visit_length(struct bank *bank)
{
    return 1 + crew_roll(&bank->dice, crew_roll(&bank->dice, 2) ? 400 : 6);
}

static void write_on(const struct stress *stress, struct bank *bank, uint32_t writer)
{
    uint32_t left = visit_length(bank);
    bank_open(bank, stress->path, 0);
    for (; left && goes_on(stress); left--) {
        bank_work(bank, writer);
        if (crew_roll(&bank->dice, 4) == 0)
            bank_look(bank);
        care(stress, bank);
    }
    bank_close(bank);
}

static void read_on(const struct stress *stress, struct bank *bank)
{
    uint32_t left = visit_length(bank);
    bank_open(bank, stress->path, SCN_RDONLY);
    for (; left && goes_on(stress); left--)
        bank_look(bank);
    bank_close(bank);
}

static void member_run(void *ctx, int fd)
{
    const struct stress *stress = ctx;
    struct bank bank = bank_of(stress);
    bool is_reader = crew_roll(&bank.dice, 5) == 0;
    uint32_t writer = 0;
    (void)fd;
    if (!is_reader)
        writer = atomic_fetch_add(&stress->book->writers, 1);
    MUST(writer < BANK_WRITERS_MAX);
    while (goes_on(stress)) {
        if (is_reader)
            read_on(stress, &bank);
        else
            write_on(stress, &bank, writer);
    }
}

static void audit_run(void *ctx, int fd)
{
    const struct stress *stress = ctx;
    struct bank bank = bank_of(stress);
    (void)fd;
    bank_open(&bank, stress->path, crew_roll(&bank.dice, 3) ? 0 : SCN_EXCLUSIVE);
    bank_audit(&bank);
    bank_close(&bank);
}

static void create_run(void *ctx, int fd)
{
    const struct stress *stress = ctx;
    struct bank bank = bank_of(stress);
    (void)fd;
    bank_create(&bank, stress->path);
}

static unsigned long long get(const _Atomic uint64_t *count)
{
    return (unsigned long long)atomic_load(count);
}

static void tell(const struct stress *stress)
{
    const struct bank_book *book = stress->book;
    const struct crew *crew = &stress->crew;
    printf("    stress: %u writers, %u kills, %u stops, %u across %d checkpoints\n"
           "    %llu opens, %llu commits, %llu conflicts, %llu refusals, %llu looks, "
           "generation %llu\n",
           atomic_load(&book->writers), crew->kills, crew->stops, crew->missed,
           CREW_MISSED_GENS, get(&book->opens), get(&book->commits), get(&book->retries),
           get(&book->refusals), get(&book->looks), get(&crew->signs->newest_gen));
}

static void run(double seconds, uint64_t seed)
{
    struct stress stress = {0};
    char *path = strdup(unit_path("stress.scn"));
    CHECK(path);
    stress.path = path;
    stress.book = party_shared(sizeof *stress.book);
    crew_init(&stress.crew, member_run, &stress, seed);
    crew_alone(&stress.crew, create_run);
    int rounds = 2 + (int)(seconds / ROUND_SECONDS);
    /* However slow the machine is: until somebody has lived for long enough to commit. */
    for (int i = 0; i < rounds || (i < ROUNDS_MAX && !get(&stress.book->commits)); i++) {
        crew_round(&stress.crew, seconds / rounds);
        crew_alone(&stress.crew, audit_run);
    }
    tell(&stress);
    CHECK(atomic_load(&stress.book->commits) > 0);
    CHECK_OK(munmap(stress.book, sizeof *stress.book));
    CHECK_OK(unlink(path));
    free(path);
}

TEST(stress__loses_nothing_and_shows_nothing_in_part)
{
    const char *given = getenv("MANY_SECONDS");
    double left = given ? atof(given) : SECONDS_DEFAULT;
    uint64_t seed = unit_seed();
    do {
        run(left < STORE_SECONDS ? left : STORE_SECONDS, seed);
        seed += 2; /* the dice make it odd */
        left -= STORE_SECONDS;
    } while (left > 0);
}
