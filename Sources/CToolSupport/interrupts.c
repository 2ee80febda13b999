#define _GNU_SOURCE
#include "interrupts.h"

#include <signal.h>
#include <stddef.h>

static volatile sig_atomic_t noted;

static void note(int number) {
  if (noted) {
    // The signal is blocked until this handler returns; then it ends the process.
    signal(number, SIG_DFL);
    raise(number);
  } else {
    noted = number;
  }
}

static void handle_with(void (*handler)(int)) {
  const int numbers[] = {SIGINT, SIGTERM};
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
    struct sigaction before;
    if (sigaction(numbers[i], NULL, &before) != 0 || before.sa_handler == SIG_IGN) continue;
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    sigaction(numbers[i], &action, NULL);
  }
}

void note_interrupts(void) { handle_with(note); }

void stop_noting_interrupts(void) { handle_with(SIG_DFL); }

int noted_interrupt(void) { return noted; }
