#include "page/status.h"
#include "test/unit/unit.h"

#include <errno.h>
#include <pthread.h>

TEST(status__every_code_has_a_name_of_its_own)
{
    for (int a = SCN_NOTADB; a <= SCN_END; a++) {
        CHECK(status_text(a)[0] != 0);
        CHECK(strcmp(status_text(a), status_text(1000)) != 0);
        for (int b = SCN_NOTADB; b < a; b++)
            CHECK(strcmp(status_text(a), status_text(b)) != 0);
    }
    CHECK(status_text(-1000) != NULL);
}

TEST(status__corrupt_keeps_page_offset_and_sentence)
{
    CHECK_EQ(error_corrupt(7, 4096, "leaf: slot %u", 3u), SCN_CORRUPT);
    const struct scn_error *error = error_last();
    CHECK_EQ(error->struct_size, sizeof *error);
    CHECK_EQ(error->status, SCN_CORRUPT);
    CHECK_EQ(error->page, 7);
    CHECK_EQ(error->offset, 4096);
    CHECK_EQ(error->sys_errno, 0);
    CHECK(strcmp(error->text, "leaf: slot 3") == 0);
}

TEST(status__sys_errors_become_statuses)
{
    static const struct {
        int sys_errno;
        scn_status st;
    } cases[] = {
        {ENOSPC, SCN_FULL},    {EDQUOT, SCN_FULL},     {EFBIG, SCN_FULL},
        {ENOMEM, SCN_NOMEM},   {EACCES, SCN_READONLY}, {EPERM, SCN_READONLY},
        {EROFS, SCN_READONLY}, {EIO, SCN_IO},          {EBADF, SCN_IO},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        CHECK_EQ(error_sys(cases[i].sys_errno, 9, "file"), cases[i].st);
        CHECK_EQ(error_sys(-cases[i].sys_errno, 9, "file"), cases[i].st);
        CHECK_EQ(error_last()->sys_errno, cases[i].sys_errno);
        CHECK_EQ(error_last()->offset, 9);
        CHECK(strstr(error_last()->text, strerror(cases[i].sys_errno)) != NULL);
    }
}

TEST(status__a_new_error_leaves_nothing_of_the_old_one)
{
    CHECK_EQ(error_corrupt(7, 8, "old"), SCN_CORRUPT);
    CHECK_EQ(error_busy(42, "lock"), SCN_BUSY);
    CHECK_EQ(error_last()->pid, 42);
    CHECK_EQ(error_last()->page, 0);
    CHECK_EQ(error_misuse("call %s", "it"), SCN_MISUSE);
    CHECK_EQ(error_last()->pid, 0);
    CHECK_EQ(error_nomem(), SCN_NOMEM);
    CHECK(error_last()->text[0] != 0);
}

TEST(status__long_sentences_are_cut)
{
    char text[600];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = 0;
    CHECK_EQ(error_sys(EIO, 0, "%s", text), SCN_IO);
    CHECK_EQ(strlen(error_last()->text), sizeof error_last()->text - 1);
}

static void *fail_elsewhere(void *arg)
{
    (void)arg;
    (void)error_corrupt(99, 0, "elsewhere");
    return NULL;
}

TEST(status__each_thread_has_its_own_last_error)
{
    pthread_t thread;
    (void)error_corrupt(1, 0, "here");
    CHECK_OK(pthread_create(&thread, NULL, fail_elsewhere, NULL));
    CHECK_OK(pthread_join(thread, NULL));
    CHECK_EQ(error_last()->page, 1);
}
