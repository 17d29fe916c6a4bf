/* stdio's getline cannot be stopped by a signal without losing what it has read; this
 * reads by hand. */
#include "tools/input.h"
#include "tools/interrupt.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { READ_BYTES = 1 << 16 };

static bool is_standard_reserved;

void input_reserve_standard(void)
{
    is_standard_reserved = true;
}

static enum outcome fail(const struct input *input)
{
    return outcome_say(OUTCOME_IO, "%s: cannot read: %s", input->name, strerror(errno));
}

enum outcome input_open(struct input *input, const char *name)
{
    struct stat about = {0};
    bool is_standard = name == NULL || strcmp(name, "-") == 0;
    *input = (struct input){.name = name, .fd = STDIN_FILENO};
    if (is_standard && is_standard_reserved)
        return outcome_say(OUTCOME_USAGE, "standard input has the commands; name a file");
    if (is_standard)
        input->name = "standard input";
    else
        input->fd = open(name, O_RDONLY | O_CLOEXEC);
    if (input->fd < 0) /* of a pipe, the wait for who writes can be interrupted */
        return interrupt_seen() ? OUTCOME_INTERRUPTED : fail(input);
    if (fstat(input->fd, &about) < 0 || S_ISDIR(about.st_mode)) {
        errno = S_ISDIR(about.st_mode) ? EISDIR : errno;
        enum outcome outcome = fail(input);
        input_close(input);
        return outcome;
    }
    return OUTCOME_OK;
}

void input_close(struct input *input)
{
    if (input->fd > STDIN_FILENO)
        close(input->fd);
    text_free(&input->buf);
    *input = (struct input){.fd = -1};
}

/* Reads once.  INPUT_LINE: go on, and is_ended may be set now. */
static enum input_result refill(struct input *input)
{
    if (!interrupt_wait_readable(input->fd))
        return INPUT_INTERRUPTED;
    text_reserve(&input->buf, READ_BYTES);
    size_t room = input->buf.capacity - input->buf.size;
    ssize_t count = read(input->fd, input->buf.data + input->buf.size, room);
    if (count < 0 && (errno == EINTR || errno == EAGAIN))
        return INPUT_LINE;
    if (count < 0) {
        fail(input);
        return INPUT_FAILED;
    }
    input->buf.size += (size_t)count;
    input->is_ended = count == 0;
    return INPUT_LINE;
}

/* What was handed out is dropped once it is the larger part, so that each byte is
 * moved once at most. */
static void forget_handed_out(struct input *input)
{
    if (input->start == 0 || input->start < input->buf.size - input->start)
        return;
    memmove(input->buf.data, input->buf.data + input->start,
            input->buf.size - input->start);
    input->buf.size -= input->start;
    input->searched -= input->start;
    input->start = 0;
}

enum input_result input_line(struct input *input, scn_slice *line)
{
    for (;;) {
        size_t len = input->buf.size - input->searched;
        char *newline = len ? memchr(input->buf.data + input->searched, '\n', len) : NULL;
        size_t end = newline ? (size_t)(newline - input->buf.data) : input->buf.size;
        if (newline || (input->is_ended && end > input->start)) {
            *line = (scn_slice){input->buf.data + input->start, end - input->start};
            input->start = input->searched = end + (newline != NULL);
            input->line_no++;
            return INPUT_LINE;
        }
        if (input->is_ended)
            return INPUT_END;
        input->searched = end;
        forget_handed_out(input);
        enum input_result result = refill(input);
        if (result != INPUT_LINE)
            return result;
    }
}

enum outcome input_all(struct input *input, size_t size_max, scn_slice *all)
{
    while (!input->is_ended && input->buf.size - input->start <= size_max) {
        enum input_result result = refill(input);
        if (result != INPUT_LINE)
            return result == INPUT_FAILED ? OUTCOME_IO : OUTCOME_INTERRUPTED;
    }
    size_t len = input->buf.size - input->start;
    *all = (scn_slice){len ? input->buf.data + input->start : NULL, len};
    return OUTCOME_OK;
}
