#include "bench/peer.h"

#include <stdio.h>
#include <stdlib.h>

void peer_must(int answer, const char *what)
{
    if (answer == 0)
        return;
    fprintf(stderr, "bench: %s: %s\n", what, mdb_strerror(answer));
    exit(1);
}

void peer_open(struct peer *peer, const char *path)
{
    MDB_txn *txn;
    peer_must(mdb_env_create(&peer->env), "mdb_env_create");
    peer_must(mdb_env_set_mapsize(peer->env, (size_t)4 << 30), "mdb_env_set_mapsize");
    peer_must(mdb_env_open(peer->env, path, MDB_NOSUBDIR, 0644), "mdb_env_open");
    peer_must(mdb_txn_begin(peer->env, NULL, 0, &txn), "mdb_txn_begin");
    peer_must(mdb_dbi_open(txn, NULL, 0, &peer->dbi), "mdb_dbi_open");
    peer_must(mdb_txn_commit(txn), "mdb_txn_commit");
}

void peer_close(struct peer *peer)
{
    mdb_env_close(peer->env);
}

void peer_load(struct peer *peer, const struct record_set *set)
{
    MDB_txn *txn;
    uint8_t buf[VALUE_BYTES];
    peer_must(mdb_txn_begin(peer->env, NULL, 0, &txn), "mdb_txn_begin");
    for (uint32_t at = 0; at < set->count; at++) {
        uint32_t i = set->order[at];
        scn_slice bytes = record_value(i, 0, buf);
        MDB_val key = {KEY_BYTES, set->keys[i]};
        MDB_val value = {bytes.size, buf};
        peer_must(mdb_put(txn, peer->dbi, &key, &value, 0), "mdb_put");
    }
    peer_must(mdb_txn_commit(txn), "mdb_txn_commit");
}
