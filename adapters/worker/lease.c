/* May I send? A reader of riskd's lease page in C. docs/lease.md has the layout, version 1.
 *
 *   cc -O2 -o lease lease.c && ./lease /run/riskd/riskd.sock.lease account:main symbol:BTCUSDT
 *
 * Exit status: 0 open, 1 reduce_only, 2 halted, 3 the lease ran out, 4 no page. A program of your
 * own defines LEASE_NO_MAIN, includes this file, opens once and checks before each order. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { OPEN, REDUCE_ONLY, HALTED, EXPIRED, NO_PAGE, PAGE_BYTES = 16384, ENTRIES_MAX = 1019 };
enum { PATH = 3, GENERATION, UNTIL, EPOCH, MODE, COUNT, ENTRIES };
#define LEASE_NS_MAX UINT64_C(120000000000)
#define FIRST(word) __atomic_load_n(&(word), __ATOMIC_ACQUIRE) /* before all that follows */
#define LOAD(word) __atomic_load_n(&(word), __ATOMIC_RELAXED)

static uint64_t hash_on(uint64_t hash, const char *text) { /* 64-bit FNV-1a */
  for (; *text; text++) hash = (hash ^ (unsigned char)*text) * 0x100000001b3;
  return hash;
}

static uint64_t scope_hash(const char *scope) { return hash_on(0xcbf29ce484222325, scope); }

/* Of its real directory, a slash and its name. 0: there is no such directory. */
static uint64_t path_hash(const char *path) {
  const char *slash = strrchr(path, '/');
  char *directory = slash ? strndup(path, slash - path + 1) : strdup(".");
  char *real = directory ? realpath(directory, NULL) : NULL;
  uint64_t hash = 0;
  if (real) hash = hash_on(hash_on(scope_hash(real), "/"), slash ? slash + 1 : path);
  free(real);
  free(directory);
  return hash;
}

static const uint64_t *lease_open(const char *path) {
  const int sealed = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | 0x10 /* F_SEAL_FUTURE_WRITE */;
  struct stat is;
  const uint64_t *page = MAP_FAILED;
  int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  int seals = file < 0 ? -1 : fcntl(file, F_GET_SEALS);
  if (seals >= 0 && (seals & sealed) == sealed && !fstat(file, &is) && is.st_size == PAGE_BYTES &&
      (is.st_uid == geteuid() || is.st_uid == 0))
    page = mmap(NULL, PAGE_BYTES, PROT_READ, MAP_SHARED, file, 0);
  if (file >= 0) close(file);
  if (page == MAP_FAILED) return NULL;
  if (page[0] == 0x65736c646b736972 && page[1] == 1 && page[2] == PAGE_BYTES && page[PATH] &&
      page[PATH] == path_hash(path)) /* else it belongs to another riskd */
    return page;
  munmap((void *)page, PAGE_BYTES);
  return NULL;
}

static int lease_check(const uint64_t *page, const uint64_t *scopes, int n) {
  for (int tries = 0; tries < 1000; tries++) {
    uint64_t until = FIRST(page[UNTIL]);
    uint64_t generation = FIRST(page[GENERATION]);
    if (generation % 2) continue;
    uint64_t mode = LOAD(page[MODE]), count = LOAD(page[COUNT]);
    if (count > ENTRIES_MAX) mode = HALTED, count = 0;
    for (const uint64_t *at = page + ENTRIES; count--; at += 2)
      for (int i = 0; i < n; i++)
        if (LOAD(at[0]) == scopes[i] && LOAD(at[1]) > mode) mode = LOAD(at[1]);
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    if (LOAD(page[GENERATION]) != generation) continue;
    struct timespec clock;
    clock_gettime(CLOCK_MONOTONIC, &clock);
    uint64_t now = clock.tv_sec * UINT64_C(1000000000) + clock.tv_nsec;
    if (until <= now || until - now > LEASE_NS_MAX) return EXPIRED; /* or by another clock */
    return mode < HALTED ? (int)mode : HALTED;
  }
  return HALTED;
}

#ifndef LEASE_NO_MAIN
int main(int argc, char **argv) {
  const uint64_t *page = argc > 1 ? lease_open(argv[1]) : NULL;
  uint64_t scopes[64];
  int n = 0;
  for (int i = 2; i < argc && n < 64; i++) scopes[n++] = scope_hash(argv[i]);
  return page && argc <= 66 ? lease_check(page, scopes, n) : NO_PAGE;
}
#endif
