// The header from C++11.
#include "include/scrine.h"

#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

namespace {

int passed;
int failed;

void check(bool holds, const char *what)
{
    if (holds) {
        passed++;
        return;
    }
    failed++;
    std::printf("FAILED %s\n", what);
}

scn_slice slice(const std::string &text)
{
    scn_slice result = {text.data(), text.size()};
    return result;
}

struct Context {
    scn_table_id id;
    int calls;
};

scn_status store_words(scn_txn *txn, void *ctx)
{
    Context *context = static_cast<Context *>(ctx);
    context->calls++;
    scn_status st = scn_table(txn, "words", SCN_CREATE, &context->id);
    const std::vector<std::string> words = {"one", "three", "two"};
    for (const std::string &word : words)
        if (st == SCN_OK)
            st = scn_put(txn, context->id, slice(word), slice(word + "!"), SCN_PUT_NEW);
    return st;
}

void read_words(scn_db *db, scn_table_id id)
{
    scn_txn *txn = nullptr;
    scn_cursor *cursor = nullptr;
    scn_slice key;
    scn_slice value;
    std::string all;
    check(scn_begin(db, SCN_READ, &txn) == SCN_OK, "begin");
    check(scn_cursor_open(txn, id, &cursor) == SCN_OK, "cursor");
    while (scn_next(cursor, &key, &value) == SCN_OK)
        all += std::string(static_cast<const char *>(key.data), key.size) + "=" +
               std::string(static_cast<const char *>(value.data), value.size) + " ";
    check(all == "one=one! three=three! two=two! ", "the words come back in order");
    scn_abort(txn);
}

} // namespace

int main()
{
    scn_options options;
    scn_db *db = nullptr;
    Context context = {0, 0};
    scn_options_init(&options);
    options.flags = SCN_NOTHREAD;
    check(scn_options_set(&options, "durability", "group") == SCN_OK, "options");
    check(scn_open(":memory:", &options, &db) == SCN_OK, "open");
    check(scn_update(db, store_words, &context) == SCN_OK, "update");
    check(context.calls == 1, "one attempt is enough");
    check(scn_update(db, store_words, &context) == SCN_EXISTS, "the callback's answer");
    read_words(db, context.id);
    check(scn_close(db) == SCN_OK, "close");
    check(std::strlen(scn_version()) > 0, "version");
    std::printf("%d passed, %d failed\n", passed, failed);
    return failed != 0;
}
