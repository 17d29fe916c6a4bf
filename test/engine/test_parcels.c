/* Increments whose checksums are right and whose operations are not: refused, and nothing
 * of them is done. */
#include "engine/parcels.h"
#include "test/engine/rowsum.h"
#include "test/engine/snaplab.h"
#include "test/unit/unit.h"

struct scene {
    struct snaplab lab;
    scn_db *base;
    uint8_t digest[16];
    struct parcel_head head; /* as an increment on the base has to have it */
    struct hostfile to;
    struct parcels_out out;
};

static void scene_open(struct scene *scene)
{
    scn_db *db;
    scn_snapshot_info info;
    *scene = (struct scene){.base = NULL};
    snaplab_create(&scene->lab, 1);
    CHECK_OK(snaplab_open(&scene->lab, "store", &db));
    for (char letter = 'a'; letter < 'k'; letter++)
        CHECK_OK(scn_put1(db, "t", (scn_slice){&letter, 1}, (scn_slice){"value", 5}));
    CHECK_OK(snaplab_take(&scene->lab, db, "base", false, NULL, &info));
    CHECK_OK(scn_close(db));
    CHECK_OK(snaplab_open(&scene->lab, "base", &scene->base));
    memcpy(scene->digest, info.digest, sizeof scene->digest);
    scene->head = (struct parcel_head){.gen = info.gen,
                                       .lsn = info.lsn + 8,
                                       .since_gen = info.gen,
                                       .since_lsn = info.lsn};
    memcpy(scene->head.uuid, info.uuid, 16);
    memcpy(scene->head.since_id, info.id, 16);
    memset(scene->head.id, 7, 16);
}

static void scene_close(struct scene *scene)
{
    CHECK_OK(scn_close(scene->base));
    snaplab_destroy(&scene->lab);
}

static scn_slice text(const char *from)
{
    return (scn_slice){from, strlen(from)};
}

static void put_two(struct parcels_out *out, const char *first, const char *second)
{
    CHECK_OK(parcels_put_bytes(out, text(first)));
    CHECK_OK(parcels_put_bytes(out, text(second)));
}

/* One operation a letter, with fields that fit:
 *     n NEXT  N NAME of t  M another of the same name  D one of an old id
 *     t TABLE of t  u TABLE without a name  c CLEAR  r RANGE of all  R RANGE, backwards
 *     p PUT x  k KEEP a  K KEEP of a row that is not there  d DELETE b  . DONE
 *     ? an operation that does not exist */
static void put_letter(struct parcels_out *out, char letter)
{
    static const char letters[] = "nNMDtucrRpkKd.?";
    static const uint8_t ops[] = {1, 2, 2, 2, 3, 3, 4, 5, 5, 6, 7, 7, 8, 9, 77};
    CHECK_OK(parcels_put_op(out, (enum parcel_op)ops[strchr(letters, letter) - letters]));
    switch (letter) {
    case 'n':
        CHECK_OK(parcels_put_number(out, 20));
        break;
    case 'N':
    case 'M':
    case 'D':
        CHECK_OK(parcels_put_number(out, letter == 'N' ? 16 : letter == 'M' ? 17 : 3));
        CHECK_OK(parcels_put_number(out, 0));
        CHECK_OK(parcels_put_bytes(out, text("t")));
        break;
    case 't':
    case 'u':
        CHECK_OK(parcels_put_number(out, letter == 't' ? 16 : 19));
        break;
    case 'c':
        put_two(out, "c", "e");
        break;
    case 'r':
        put_two(out, "", "");
        break;
    case 'R':
        put_two(out, "z", "a");
        break;
    case 'p':
        put_two(out, "x", "new");
        break;
    case 'k':
        CHECK_OK(parcels_put_bytes(out, text("a")));
        break;
    case 'K':
        CHECK_OK(parcels_put_bytes(out, text("aa")));
        break;
    case 'd':
        CHECK_OK(parcels_put_bytes(out, text("b")));
        break;
    default:
        break;
    }
}

static scn_status apply(struct scene *scene, const char *letters)
{
    scn_snapshot_info info;
    sim_put_file(scene->lab.disk, "inc", "", 0);
    CHECK_OK(hostfile_open(&scene->to, scene->lab.sys,
                           sim_fd(scene->lab.disk, "inc", false), scene->base->store,
                           NULL));
    CHECK_OK(parcels_begin(&scene->out, &scene->to, &scene->head));
    for (const char *at = letters; *at; at++)
        put_letter(&scene->out, *at);
    CHECK_OK(parcels_end(&scene->out));
    parcels_out_destroy(&scene->out);
    hostfile_close(&scene->to);
    return snaplab_apply(&scene->lab, scene->base, "inc", &info);
}

TEST(parcels__of_impossible_operations_are_refused)
{
    static const char *const wrong[] = {
        "",       /* nothing */
        "N",      /* no next id */
        "nNM",    /* two tables of one name */
        "nD",     /* a system table */
        "nNN",    /* ids do not ascend */
        "nNp",    /* a row without a table */
        "nNu",    /* rows of a table without a name */
        "nNtR.",  /* a range backwards */
        "nNtk",   /* a row kept outside of a range */
        "nNt.",   /* the end of no range */
        "nNtr",   /* a range without an end */
        "nNtrt",  /* ... and another table */
        "nNtrr..", /* a range in a range */
        "nNtrc.", /* a deletion in a range */
        "nNtrd.", /* a row deleted in a range */
        "nNtrK.", /* the base has no such row */
        "nNt?",   /* an unknown operation */
        "nNtN",   /* names behind rows */
        "nn",     /* the next id twice */
    };
    struct scene scene;
    scene_open(&scene);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        scn_status st = apply(&scene, wrong[i]);
        if (st != SCN_CORRUPT)
            unit_fail(__FILE__, __LINE__, "\"%s\" is answered with %d", wrong[i], st);
        snaplab_check(scene.base, scene.digest);
    }
    scene_close(&scene);
}

TEST(parcels__of_possible_operations_are_done)
{
    struct scene scene;
    scn_txn *txn;
    scn_table_id id;
    uint64_t count = 0;
    scene_open(&scene);
    CHECK_OK(apply(&scene, "nNtcpdd"));
    CHECK_OK(scn_begin(scene.base, SCN_READ, &txn));
    CHECK_OK(scn_table(txn, "t", 0, &id));
    CHECK_OK(scn_table_count(txn, id, &count));
    CHECK_EQ(count, 10 - 2 - 1 + 1); /* without c, d and b, with x */
    scn_abort(txn);
    memcpy(scene.head.since_id, scene.head.id, 16);
    memset(scene.head.id, 8, 16);
    CHECK_OK(apply(&scene, "nNtrkp."));
    CHECK_OK(scn_begin(scene.base, SCN_READ, &txn));
    CHECK_OK(scn_table_count(txn, id, &count));
    CHECK_EQ(count, 2);
    scn_abort(txn);
    memcpy(scene.head.since_id, scene.head.id, 16);
    memset(scene.head.id, 9, 16);
    CHECK_OK(apply(&scene, "n")); /* all tables are gone */
    CHECK_OK(scn_begin(scene.base, SCN_READ, &txn));
    CHECK_EQ(scn_table(txn, "t", 0, &id), SCN_NOTFOUND);
    scn_abort(txn);
    CHECK_OK(scn_checkpoint(scene.base));
    CHECK_OK(rowsum_digest(scene.base, scene.digest));
    snaplab_check(scene.base, scene.digest);
    scene_close(&scene);
}
