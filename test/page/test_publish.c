#include "page/publish.h"
#include "test/unit/unit.h"

static const struct publish_value sample = {
    .epoch = 7, .sequence = 3, .a = 1000, .b = 900};

static void put_copy(uint8_t *image, enum publish_line line, uint32_t copy_idx,
                     uint64_t sequence)
{
    struct publish_value value = sample;
    value.sequence = sequence;
    value.a = 100 + sequence;
    publish_encode(line, &value, image + publish_off(line, copy_idx));
}

TEST(publish__round_trips)
{
    uint8_t copy[PUBLISH_COPY_BYTES];
    for (int line = 0; line < PUBLISH_LINE_COUNT; line++) {
        struct publish_value back = {0};
        publish_encode((enum publish_line)line, &sample, copy);
        CHECK(publish_decode((enum publish_line)line, copy, &back));
        CHECK(memcmp(&back, &sample, sizeof back) == 0);
    }
}

TEST(publish__notices_every_flipped_bit)
{
    uint8_t copy[PUBLISH_COPY_BYTES];
    struct publish_value back;
    publish_encode(PUBLISH_SYNC, &sample, copy);
    for (size_t bit = 0; bit < sizeof copy * 8; bit++) {
        copy[bit / 8] ^= (uint8_t)(1u << bit % 8);
        CHECK(!publish_decode(PUBLISH_SYNC, copy, &back));
        copy[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

TEST(publish__takes_no_line_for_another)
{
    uint8_t copy[PUBLISH_COPY_BYTES];
    struct publish_value back;
    publish_encode(PUBLISH_APPEND, &sample, copy);
    for (int line = PUBLISH_APPEND + 1; line < PUBLISH_LINE_COUNT; line++)
        CHECK(!publish_decode((enum publish_line)line, copy, &back));
}

TEST(publish__zeros_are_no_copy)
{
    uint8_t image[PUBLISH_BYTES] = {0};
    struct publish_value back;
    for (int line = 0; line < PUBLISH_LINE_COUNT; line++)
        CHECK(!publish_pick(image, (enum publish_line)line, &back));
}

TEST(publish__picks_the_higher_sequence_in_either_place)
{
    uint8_t image[PUBLISH_BYTES] = {0};
    struct publish_value back;
    put_copy(image, PUBLISH_CHECKPOINT, 0, 8);
    CHECK(publish_pick(image, PUBLISH_CHECKPOINT, &back));
    CHECK_EQ(back.a, 108);
    put_copy(image, PUBLISH_CHECKPOINT, 1, 9);
    CHECK(publish_pick(image, PUBLISH_CHECKPOINT, &back));
    CHECK_EQ(back.a, 109);
    put_copy(image, PUBLISH_CHECKPOINT, 0, 10);
    CHECK(publish_pick(image, PUBLISH_CHECKPOINT, &back));
    CHECK_EQ(back.a, 110);
    CHECK(!publish_pick(image, PUBLISH_SYNC, &back));
}

TEST(publish__falls_back_to_the_other_copy_at_every_cut_of_a_write)
{
    uint8_t image[PUBLISH_BYTES] = {0};
    uint8_t next[PUBLISH_BYTES] = {0};
    put_copy(image, PUBLISH_APPEND, 0, 1);
    put_copy(image, PUBLISH_APPEND, 1, 2);
    put_copy(next, PUBLISH_APPEND, 0, 3);
    for (size_t cut = 0; cut <= PUBLISH_COPY_BYTES; cut++) {
        uint8_t torn[PUBLISH_BYTES];
        struct publish_value back;
        memcpy(torn, image, sizeof torn);
        memcpy(torn, next, cut);
        CHECK(publish_pick(torn, PUBLISH_APPEND, &back));
        CHECK(back.a == 102 || back.a == 103);
        if (cut == 0)
            CHECK_EQ(back.a, 102);
        if (cut == PUBLISH_COPY_BYTES)
            CHECK_EQ(back.a, 103);
    }
}
