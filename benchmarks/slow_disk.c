/* Loaded before libc: adds SLOW_DISK_US microseconds to each fsync and fdatasync, so that a fast
   disk behaves as an ordinary one does. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <time.h>

static int slowly(const char *name, int fd)
{
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
    const char *added = getenv("SLOW_DISK_US");
    long us = added ? atol(added) : 0;
    struct timespec rest = {us / 1000000, us % 1000000 * 1000};
    int result = real(fd), error = errno;
    while (nanosleep(&rest, &rest) == -1 && errno == EINTR)
        ;
    errno = error;
    return result;
}

int fsync(int fd) { return slowly("fsync", fd); }
int fdatasync(int fd) { return slowly("fdatasync", fd); }
