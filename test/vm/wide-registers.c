/*
 * For LD_PRELOAD: lets the guest's kernel run on processors whose register state is larger than it knows of (Intel's AMX: 11008 bytes).
 *
 * User-Mode Linux 6.1 reads and writes the registers of its processes by ptrace, with a buffer of a fixed size. A host takes a
 * state only as a whole (arch/x86/kernel/fpu/regset.c, xstateregs_set: EFAULT for any other size). So what the guest writes
 * is laid over the state as it is: the part that the guest does not know is not changed by it.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <elf.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>

#ifndef NT_X86_XSTATE
#define NT_X86_XSTATE 0x202
#endif

typedef long (*ptrace_fn)(int, ...);

/* Not on the stack: the kernel calls from its own, which is smaller. It has one processor and is not interrupted here. */
static char state[32768] __attribute__((aligned(64)));

long ptrace(enum __ptrace_request request, ...) {
  static ptrace_fn real;
  va_list rest;
  va_start(rest, request);
  pid_t pid = va_arg(rest, pid_t);
  void *address = va_arg(rest, void *);
  void *data = va_arg(rest, void *);
  va_end(rest);
  if (!real) real = (ptrace_fn)dlsym(RTLD_NEXT, "ptrace");
  if (request == PTRACE_SETREGSET && (long)address == NT_X86_XSTATE) {
    const struct iovec *given = data;
    struct iovec whole = {state, sizeof state};
    if (real(PTRACE_GETREGSET, pid, address, &whole) == 0 && whole.iov_len > given->iov_len) {
      memcpy(state, given->iov_base, given->iov_len);
      return real(PTRACE_SETREGSET, pid, address, &whole);
    }
  }
  return real(request, pid, address, data);
}
