/* Isolation across processes, judged from histories of lists: several processes with two
 * threads each, killed and stopped at any moment.  MANY_SECONDS is how long each level
 * takes. */
#include "test/many/crew.h"
#include "test/many/history.h"

#include <pthread.h>
#include <unistd.h>

enum {
    SECONDS_DEFAULT = 1,
    TXNS_MAX = 120000,
    THREADS = 2,
    HOT_KEYS = 5, /* in use at a time: so there are conflicts */
    LIST_ENOUGH = 24,
    UNDER_WAY = 1000 /* more than all threads have begun, and keys than these leave */
};

struct lists {
    const char *path;
    enum history_level level;
    struct crew crew;
    struct history_txn *txns;
    struct {
        _Atomic uint32_t txns;
        _Atomic uint32_t elements;
        _Atomic uint32_t first_key; /* of the hot ones */
    } *next;
};

struct player {
    struct lists *lists;
    scn_db *db;
    bool is_reader;
    scn_table_id table;
    uint64_t dice;
};

/* In the end each key is read once more. */
static bool goes_on(const struct lists *lists)
{
    uint32_t needed = atomic_load(&lists->next->txns) +
                      atomic_load(&lists->next->first_key) + HOT_KEYS + UNDER_WAY;
    return !atomic_load(&lists->crew.signs->is_over) && needed < TXNS_MAX;
}

/* ---- one transaction ---- */

static scn_status read_list(const struct player *player, scn_txn *txn,
                            struct history_op *op)
{
    char key[16];
    scn_slice name = {key, (size_t)snprintf(key, sizeof key, "%08u", op->key)};
    scn_slice value;
    scn_status st = scn_get(txn, player->table, name, &value);
    op->count = 0;
    if (st != SCN_OK)
        return st == SCN_NOTFOUND ? SCN_OK : st;
    MUST(value.size % 4 == 0);
    MUST(value.size <= sizeof op->list);
    op->count = (uint32_t)(value.size / 4);
    memcpy(op->list, value.data, value.size);
    return SCN_OK;
}

static void leave_key(struct lists *lists, uint32_t key)
{
    uint32_t first = atomic_load(&lists->next->first_key);
    while (first <= key && !atomic_compare_exchange_weak(&lists->next->first_key, &first,
                                                         key + 1))
        ;
}

static scn_status append(struct player *player, scn_txn *txn, struct history_op *op)
{
    char key[16];
    scn_slice name = {key, (size_t)snprintf(key, sizeof key, "%08u", op->key)};
    struct history_op had = {.key = op->key};
    scn_status st = read_list(player, txn, &had);
    if (st != SCN_OK)
        return st;
    MUST(had.count < HISTORY_LIST_MAX);
    if (had.count >= LIST_ENOUGH)
        leave_key(player->lists, op->key);
    had.list[had.count++] = op->element;
    return scn_put(txn, player->table, name, (scn_slice){had.list, 4 * had.count}, 0);
}

static scn_status play_op(struct player *player, scn_txn *txn, struct history_txn *record,
                          bool is_read_only)
{
    struct history_op *op = &record->ops[record->count];
    struct lists *lists = player->lists;
    op->key = atomic_load(&lists->next->first_key) + crew_roll(&player->dice, HOT_KEYS);
    bool is_read = is_read_only || crew_roll(&player->dice, 2);
    if (!is_read)
        op->element = 1 + atomic_fetch_add(&lists->next->elements, 1);
    record->count++;
    return is_read ? read_list(player, txn, op) : append(player, txn, op);
}

static scn_status play_ops(struct player *player, scn_txn *txn,
                           struct history_txn *record, bool is_read_only)
{
    uint32_t count = 1 + crew_roll(&player->dice, HISTORY_OPS_MAX);
    scn_status st = SCN_OK;
    if (!is_read_only && crew_roll(&player->dice, 2))
        st = scn_set_durability(txn, SCN_SYNC_LAZY);
    for (uint32_t i = 0; st == SCN_OK && i < count; i++) {
        st = play_op(player, txn, record, is_read_only);
        if (crew_roll(&player->dice, 16) == 0)
            party_pause_us(crew_roll(&player->dice, 3000));
    }
    return st;
}

static void play(struct player *player)
{
    struct lists *lists = player->lists;
    scn_txn *txn;
    bool is_read_only = player->is_reader || crew_roll(&player->dice, 4) == 0;
    uint32_t level = lists->level == HISTORY_SNAPSHOT ? SCN_SNAPSHOT : 0;
    uint32_t at = atomic_fetch_add(&lists->next->txns, 1);
    MUST(at < TXNS_MAX);
    struct history_txn *record = &lists->txns[at];
    record->process = (uint32_t)getpid();
    record->start_ns = party_ns();
    MUST_OK(scn_begin(player->db, is_read_only ? SCN_READ : SCN_WRITE | level, &txn));
    MUST_OK(play_ops(player, txn, record, is_read_only));
    scn_status st = scn_commit(txn);
    record->end_ns = party_ns();
    if (st != SCN_CONFLICT && st != SCN_BUSY)
        MUST_OK(st);
    atomic_thread_fence(memory_order_seq_cst);
    record->outcome = st == SCN_OK ? HISTORY_COMMITTED : HISTORY_ABORTED;
}

/* ---- the processes ---- */

static void *thread_run(void *ctx)
{
    struct player *player = ctx;
    for (int left = 20 + (int)crew_roll(&player->dice, 300);
         left > 0 && goes_on(player->lists); left--) {
        play(player);
        if (crew_roll(&player->dice, 100) == 0 && !player->is_reader) {
            scn_status st = scn_checkpoint(player->db);
            if (st != SCN_BUSY)
                MUST_OK(st);
        }
        crew_note_gen(player->lists->crew.signs, player->db);
    }
    return NULL;
}

static void find_table(struct player *player)
{
    scn_txn *txn;
    MUST_OK(scn_begin(player->db, SCN_READ, &txn));
    MUST_OK(scn_table(txn, "lists", 0, &player->table));
    scn_abort(txn);
}

static void play_on(struct player *player)
{
    pthread_t threads[THREADS];
    struct player players[THREADS];
    scn_options options;
    scn_options_init(&options);
    options.flags = player->is_reader ? SCN_RDONLY : 0;
    options.busy_timeout_ms = PARTY_BUSY_MS;
    options.lazy_interval_ms = 1 + crew_roll(&player->dice, 60);
    MUST_OK(scn_open(player->lists->path, &options, &player->db));
    find_table(player);
    for (int i = 0; i < THREADS; i++) {
        players[i] = *player;
        players[i].dice = unit_random(&player->dice) | 1;
        MUST_OK(pthread_create(&threads[i], NULL, thread_run, &players[i]));
    }
    for (int i = 0; i < THREADS; i++)
        MUST_OK(pthread_join(threads[i], NULL));
    MUST_OK(scn_close(player->db));
}

/* When the history is full: until the end of the round. */
static void member_run(void *ctx, int fd)
{
    struct player player = {.lists = ctx};
    (void)fd;
    player.dice = player.lists->crew.dice | 1;
    player.is_reader = crew_roll(&player.dice, 6) == 0;
    while (goes_on(player.lists))
        play_on(&player);
    while (!atomic_load(&player.lists->crew.signs->is_over))
        party_pause_us(1000);
}

static void create_run(void *ctx, int fd)
{
    const struct lists *lists = ctx;
    scn_db *db;
    scn_txn *txn;
    scn_table_id id;
    (void)fd;
    MUST_OK(scn_open(lists->path, NULL, &db));
    MUST_OK(scn_begin(db, SCN_WRITE, &txn));
    MUST_OK(scn_table(txn, "lists", SCN_CREATE, &id));
    MUST_OK(scn_commit(txn));
    MUST_OK(scn_close(db));
}

/* The longest list of every key, in transactions of their own. */
static void read_all_run(void *ctx, int fd)
{
    struct player player = {.lists = ctx};
    struct lists *lists = ctx;
    (void)fd;
    MUST_OK(scn_open(lists->path, NULL, &player.db));
    find_table(&player);
    for (uint32_t key = 0; key < atomic_load(&lists->next->first_key) + HOT_KEYS; key++) {
        scn_txn *txn;
        struct history_txn *record =
            &lists->txns[atomic_fetch_add(&lists->next->txns, 1)];
        MUST(record < lists->txns + TXNS_MAX);
        record->process = (uint32_t)getpid();
        record->start_ns = party_ns();
        record->count = 1;
        record->ops[0].key = key;
        MUST_OK(scn_begin(player.db, SCN_READ, &txn));
        MUST_OK(read_list(&player, txn, &record->ops[0]));
        scn_abort(txn);
        record->end_ns = party_ns();
        record->outcome = HISTORY_COMMITTED;
    }
    MUST_OK(scn_close(player.db));
}

/* ---- */

static void tell(const struct lists *lists)
{
    uint32_t outcomes[3] = {0};
    uint32_t count = atomic_load(&lists->next->txns);
    for (uint32_t i = 0; i < count; i++)
        outcomes[lists->txns[i].outcome]++;
    printf("    lists: %u committed, %u conflicts, %u unknown, on %u keys; %u kills, %u "
           "stops, generation %llu\n",
           outcomes[HISTORY_COMMITTED], outcomes[HISTORY_ABORTED],
           outcomes[HISTORY_UNKNOWN], atomic_load(&lists->next->first_key) + HOT_KEYS,
           lists->crew.kills, lists->crew.stops,
           (unsigned long long)atomic_load(&lists->crew.signs->newest_gen));
}

static void show_txn(const struct lists *lists, uint32_t at)
{
    const struct history_txn *txn = &lists->txns[at];
    printf("    %u: process %u, outcome %u, %llu to %llu us:", at, txn->process,
           txn->outcome,
           (unsigned long long)(txn->start_ns - lists->txns[0].start_ns) / 1000,
           (unsigned long long)(txn->end_ns - lists->txns[0].start_ns) / 1000);
    for (uint32_t i = 0; i < txn->count; i++) {
        const struct history_op *op = &txn->ops[i];
        printf(op->element ? " append %u:%u" : " read %u:#%u", op->key,
               op->element ? op->element : op->count);
    }
    printf("\n");
}

/* The transactions whose numbers are in the verdict. */
static void show_suspects(const struct lists *lists, const char *wrong)
{
    while (*wrong) {
        char *end = (char *)wrong + 1;
        unsigned long at = TXNS_MAX;
        if (*wrong >= '0' && *wrong <= '9')
            at = strtoul(wrong, &end, 10);
        if (at < atomic_load(&lists->next->txns) && *end == ' ')
            show_txn(lists, (uint32_t)at);
        wrong = end;
    }
}

static void run(enum history_level level)
{
    const char *given = getenv("MANY_SECONDS");
    double seconds = given ? atof(given) / 2 : SECONDS_DEFAULT;
    struct lists lists = {.level = level};
    char *path = strdup(unit_path(level == HISTORY_STRICT ? "strict" : "snapshot"));
    CHECK(path);
    lists.path = path;
    lists.txns = party_shared(TXNS_MAX * sizeof *lists.txns);
    lists.next = party_shared(sizeof *lists.next);
    crew_init(&lists.crew, member_run, &lists, unit_seed() + level);
    crew_alone(&lists.crew, create_run);
    for (int i = 0; i < 2; i++)
        crew_round(&lists.crew, seconds / 2);
    crew_alone(&lists.crew, read_all_run);
    tell(&lists);
    const char *wrong = history_judge(lists.txns, atomic_load(&lists.next->txns), level);
    printf("%s", wrong);
    show_suspects(&lists, wrong);
    CHECK(wrong[0] == '\0');
    CHECK_OK(unlink(path));
    free(path);
}

TEST(lists__are_strictly_serializable)
{
    run(HISTORY_STRICT);
}

TEST(lists__are_snapshot_isolated_where_asked_for)
{
    run(HISTORY_SNAPSHOT);
}
