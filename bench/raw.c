#include "bench/raw.h"

#include "bench/figure.h"
#include "bench/rig.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

enum { RAW_BYTES = 200, RAW_FILE_BYTES = 16 << 20 };

void raw_open(struct raw *raw)
{
    char path[PATH_BYTES];
    static const uint8_t zeros[1 << 16];
    raw->off = 0;
    raw->fd = open(rig_path("raw", path), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    require(raw->fd >= 0, "a plain file can be made");
    for (uint64_t off = 0; off < RAW_FILE_BYTES; off += sizeof zeros)
        require(pwrite(raw->fd, zeros, sizeof zeros, (off_t)off) == (ssize_t)sizeof zeros,
                "a plain file can be filled");
    require(fsync(raw->fd) == 0, "a plain file can be synced");
}

void raw_commit(struct raw *raw)
{
    uint8_t bytes[RAW_BYTES];
    memset(bytes, (int)raw->off, sizeof bytes);
    require(pwrite(raw->fd, bytes, RAW_BYTES, (off_t)raw->off) == RAW_BYTES &&
                fdatasync(raw->fd) == 0,
            "a plain file can be written and synced");
    raw->off = (raw->off + RAW_BYTES) % (RAW_FILE_BYTES - RAW_BYTES);
}

void raw_close(struct raw *raw)
{
    close(raw->fd);
}
