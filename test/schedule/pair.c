#include "test/schedule/pair.h"

void pair_open(struct pair *pair)
{
    stage_open(&pair->a, 0);
    stage_join(&pair->b, &pair->a, 0);
}

void pair_close(struct pair *pair)
{
    stage_close(&pair->b);
    stage_close(&pair->a);
}

void part_until_line(struct part *part, enum publish_line line, enum sim_when when)
{
    struct sim_stop stop = {.step = SIM_WRITE, .when = when};
    stop.from = (uint64_t)PUBLISH_PAGE_NO * PAGE_BYTES + publish_off(line, 0);
    stop.to = stop.from + 2 * (uint64_t)PUBLISH_COPY_BYTES;
    if (sim_actor_run(part->actor, &stop) != SIM_STOPPED)
        unit_fail(__FILE__, __LINE__, "%s does not write line %d", part->key, line);
}

void part_until_lock(struct part *part, uint64_t byte, uint64_t len, enum sim_when when)
{
    struct sim_stop stop = {.step = SIM_LOCK, .when = when};
    stop.from = byte;
    stop.to = byte + len;
    if (sim_actor_run(part->actor, &stop) != SIM_STOPPED)
        unit_fail(__FILE__, __LINE__, "%s ends with %d and takes no such lock", part->key,
                  part->st);
}

scn_status part_await(struct part *part)
{
    if (sim_actor_await(part->actor, NULL) != SIM_ENDED)
        unit_fail(__FILE__, __LINE__, "%s is stuck: %s", part->key,
                  sim_sched_report(part->stage->sched));
    return part->st;
}
