/* What a process does to the files below one directory, written down: an LD_PRELOAD library for Linux.
 *
 * Built and loaded by the crash test (disk.rs), which reads the log and knows from it what a disk must
 * still hold after a power cut. Each operation is done first and then written down, under one lock; a
 * sync is written down once it has returned, with the length that the log had when it began.
 *
 *   CRASH_SHIM_DIR    the directory, absolute
 *   CRASH_SHIM_LOG    the log; records are a struct record and its data
 *   CRASH_SHIM_DELAY  microseconds that a sync takes longer
 *   CRASH_SHIM_FAULT  as long as this file exists, each sync fails with EIO
 *
 * It does not see what bypasses the C library: io_uring, mmap, direct system calls.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum kind { WRITE = 1, TRUNCATE, SYNC, CREATE, RENAME, UNLINK, SYNC_DIR, SYNC_FAILED, ALLOCATE };

struct record {
    uint64_t kind, inode, at, length;
};

#define FILES_MAX 65536
static uint64_t inode_of[FILES_MAX]; /* 0: none of ours */
static char is_dir[FILES_MAX];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static const char *dir, *fault;
static size_t dir_length;
static int log_fd = -1;
static uint64_t log_length;
static useconds_t delay;

#define REAL(result, name, ...) \
    static result (*real)(__VA_ARGS__); \
    if (!real) \
    real = (result(*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

__attribute__((constructor)) static void begin(void) {
    const char *log = getenv("CRASH_SHIM_LOG"), *slow = getenv("CRASH_SHIM_DELAY");
    dir = getenv("CRASH_SHIM_DIR");
    fault = getenv("CRASH_SHIM_FAULT");
    if (!dir || !log)
        return;
    dir_length = strlen(dir);
    delay = slow ? (useconds_t)atoi(slow) : 0;
    log_fd = (int)syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    struct stat is;
    if (log_fd >= 0 && fstat(log_fd, &is) == 0)
        log_length = (uint64_t)is.st_size;
}

/* Under the lock. */
static void note(enum kind kind, uint64_t inode, uint64_t at, const void *data, size_t length) {
    struct record record = {kind, inode, at, length};
    struct iovec parts[2] = {{&record, sizeof record}, {(void *)data, length}};
    ssize_t put = syscall(SYS_writev, log_fd, parts, 2);
    if (put != (ssize_t)(sizeof record + length)) {
        static const char words[] = "crash shim: its log cannot be written\n";
        syscall(SYS_write, 2, words, sizeof words - 1);
        abort();
    }
    log_length += (uint64_t)put;
}

static int below(const char *path) {
    return log_fd >= 0 && strncmp(path, dir, dir_length) == 0 &&
           (path[dir_length] == '/' || path[dir_length] == 0);
}

/* The absolute path of a name in a directory. */
static int whole(int at, const char *name, char *path) {
    if (log_fd < 0)
        return 0;
    if (name[0] == '/')
        return snprintf(path, PATH_MAX, "%s", name) < PATH_MAX && below(path);
    char link[64], base[PATH_MAX];
    if (at == AT_FDCWD)
        snprintf(link, sizeof link, "/proc/self/cwd");
    else
        snprintf(link, sizeof link, "/proc/self/fd/%d", at);
    ssize_t length = readlink(link, base, sizeof base - 1);
    if (length < 0)
        return 0;
    base[length] = 0;
    return snprintf(path, PATH_MAX, "%s/%s", base, name) < PATH_MAX && below(path);
}

static int ours(int fd) { return log_fd >= 0 && fd >= 0 && fd < FILES_MAX && inode_of[fd] != 0; }

static int opened(int at, const char *name, int flags, mode_t mode) {
    char path[PATH_MAX];
    if (!whole(at, name, path))
        return (int)syscall(SYS_openat, at, name, flags, mode);
    pthread_mutex_lock(&lock);
    int is_new = (flags & O_CREAT) && faccessat(AT_FDCWD, path, F_OK, 0) != 0;
    int fd = (int)syscall(SYS_openat, at, name, flags, mode);
    int saved = errno;
    struct stat is;
    if (fd >= 0 && fd < FILES_MAX && fstat(fd, &is) == 0) {
        inode_of[fd] = is.st_ino;
        is_dir[fd] = S_ISDIR(is.st_mode);
        if (is_new)
            note(CREATE, is.st_ino, 0, path, strlen(path));
        else if (flags & O_TRUNC)
            note(TRUNCATE, is.st_ino, 0, NULL, 0);
    }
    pthread_mutex_unlock(&lock);
    errno = saved;
    return fd < 0 ? -1 : fd;
}

#define MODE(flags) \
    mode_t mode = 0; \
    if ((flags) & (O_CREAT | O_TMPFILE)) { \
        va_list list; \
        va_start(list, flags); \
        mode = va_arg(list, mode_t); \
        va_end(list); \
    }

int open(const char *name, int flags, ...) {
    MODE(flags)
    return opened(AT_FDCWD, name, flags, mode);
}
int open64(const char *name, int flags, ...) {
    MODE(flags)
    return opened(AT_FDCWD, name, flags, mode);
}
int openat(int at, const char *name, int flags, ...) {
    MODE(flags)
    return opened(at, name, flags, mode);
}
int openat64(int at, const char *name, int flags, ...) {
    MODE(flags)
    return opened(at, name, flags, mode);
}
int creat(const char *name, mode_t mode) {
    return opened(AT_FDCWD, name, O_CREAT | O_WRONLY | O_TRUNC, mode);
}

int close(int fd) {
    REAL(int, "close", int);
    if (ours(fd)) {
        pthread_mutex_lock(&lock);
        inode_of[fd] = 0;
        pthread_mutex_unlock(&lock);
    }
    return real(fd);
}

static ssize_t put_at(int fd, const void *data, size_t length, off_t at) {
    pthread_mutex_lock(&lock);
    ssize_t put = syscall(SYS_pwrite64, fd, data, length, at);
    int saved = errno;
    if (put > 0)
        note(WRITE, inode_of[fd], (uint64_t)at, data, (size_t)put);
    pthread_mutex_unlock(&lock);
    errno = saved;
    return put;
}

ssize_t pwrite(int fd, const void *data, size_t length, off_t at) {
    return ours(fd) ? put_at(fd, data, length, at) : syscall(SYS_pwrite64, fd, data, length, at);
}
ssize_t pwrite64(int fd, const void *data, size_t length, off64_t at) {
    return pwrite(fd, data, length, at);
}

/* One part of a write at the file's own position. */
static ssize_t put_here(int fd, const void *data, size_t length) {
    pthread_mutex_lock(&lock);
    ssize_t put = syscall(SYS_write, fd, data, length);
    int saved = errno;
    if (put > 0)
        note(WRITE, inode_of[fd], (uint64_t)(lseek(fd, 0, SEEK_CUR) - put), data, (size_t)put);
    pthread_mutex_unlock(&lock);
    errno = saved;
    return put;
}

ssize_t write(int fd, const void *data, size_t length) {
    return ours(fd) ? put_here(fd, data, length) : syscall(SYS_write, fd, data, length);
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
    if (!ours(fd))
        return syscall(SYS_writev, fd, parts, count);
    ssize_t sum = 0;
    for (int i = 0; i < count; i++) {
        ssize_t put = put_here(fd, parts[i].iov_base, parts[i].iov_len);
        if (put < 0)
            return sum > 0 ? sum : -1;
        sum += put;
        if ((size_t)put < parts[i].iov_len)
            break;
    }
    return sum;
}

static ssize_t putv_at(int fd, const struct iovec *parts, int count, off_t at) {
    ssize_t sum = 0;
    for (int i = 0; i < count; i++) {
        ssize_t put = pwrite(fd, parts[i].iov_base, parts[i].iov_len, at + sum);
        if (put < 0)
            return sum > 0 ? sum : -1;
        sum += put;
        if ((size_t)put < parts[i].iov_len)
            break;
    }
    return sum;
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t at) {
    return putv_at(fd, parts, count, at);
}
ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t at) {
    return putv_at(fd, parts, count, at);
}

int ftruncate(int fd, off_t length) {
    if (!ours(fd))
        return (int)syscall(SYS_ftruncate, fd, length);
    pthread_mutex_lock(&lock);
    int result = (int)syscall(SYS_ftruncate, fd, length);
    if (result == 0)
        note(TRUNCATE, inode_of[fd], (uint64_t)length, NULL, 0);
    pthread_mutex_unlock(&lock);
    return result;
}
int ftruncate64(int fd, off64_t length) { return ftruncate(fd, length); }

int posix_fallocate(int fd, off_t at, off_t length) {
    REAL(int, "posix_fallocate", int, off_t, off_t);
    if (!ours(fd))
        return real(fd, at, length);
    pthread_mutex_lock(&lock);
    int result = syscall(SYS_fallocate, fd, 0, at, length) == 0 ? 0 : errno;
    if (result == 0)
        note(ALLOCATE, inode_of[fd], (uint64_t)(at + length), NULL, 0);
    pthread_mutex_unlock(&lock);
    return result;
}
int posix_fallocate64(int fd, off64_t at, off64_t length) { return posix_fallocate(fd, at, length); }
int fallocate(int fd, int mode, off_t at, off_t length) {
    if (!ours(fd) || mode != 0)
        return (int)syscall(SYS_fallocate, fd, mode, at, length);
    int result = posix_fallocate(fd, at, length);
    errno = result ? result : errno;
    return result ? -1 : 0;
}
int fallocate64(int fd, int mode, off64_t at, off64_t length) { return fallocate(fd, mode, at, length); }

static int synced(int fd, long number) {
    if (!ours(fd))
        return (int)syscall(number, fd);
    pthread_mutex_lock(&lock);
    uint64_t before = log_length;
    uint64_t inode = inode_of[fd];
    pthread_mutex_unlock(&lock);
    int broken = fault && access(fault, F_OK) == 0;
    if (delay)
        usleep(delay);
    int result = broken ? -1 : (int)syscall(number, fd);
    int saved = broken ? EIO : errno;
    pthread_mutex_lock(&lock);
    if (result != 0)
        note(SYNC_FAILED, inode, before, NULL, 0);
    else
        note(is_dir[fd] ? SYNC_DIR : SYNC, inode, before, NULL, 0);
    pthread_mutex_unlock(&lock);
    errno = saved;
    return result;
}

int fsync(int fd) { return synced(fd, SYS_fsync); }
int fdatasync(int fd) { return synced(fd, SYS_fdatasync); }

static int renamed(int from_at, const char *from, int to_at, const char *to, unsigned flags) {
    char names[2 * PATH_MAX + 1], target[PATH_MAX];
    int is_ours = whole(from_at, from, names) && whole(to_at, to, target) && flags == 0;
    pthread_mutex_lock(&lock);
    int result = (int)syscall(SYS_renameat2, from_at, from, to_at, to, flags);
    int saved = errno;
    if (result == 0 && is_ours) {
        size_t length = strlen(names);
        memcpy(names + length + 1, target, strlen(target));
        note(RENAME, 0, 0, names, length + 1 + strlen(target));
    }
    pthread_mutex_unlock(&lock);
    errno = saved;
    return result;
}

int rename(const char *from, const char *to) { return renamed(AT_FDCWD, from, AT_FDCWD, to, 0); }
int renameat(int from_at, const char *from, int to_at, const char *to) {
    return renamed(from_at, from, to_at, to, 0);
}
int renameat2(int from_at, const char *from, int to_at, const char *to, unsigned flags) {
    return renamed(from_at, from, to_at, to, flags);
}

int unlinkat(int at, const char *name, int flags) {
    char path[PATH_MAX];
    int is_ours = whole(at, name, path) && !(flags & AT_REMOVEDIR);
    pthread_mutex_lock(&lock);
    int result = (int)syscall(SYS_unlinkat, at, name, flags);
    int saved = errno;
    if (result == 0 && is_ours)
        note(UNLINK, 0, 0, path, strlen(path));
    pthread_mutex_unlock(&lock);
    errno = saved;
    return result;
}
int unlink(const char *name) { return unlinkat(AT_FDCWD, name, 0); }
