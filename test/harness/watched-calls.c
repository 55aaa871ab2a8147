// Makes the system calls that its arguments name, for whoever watches it.

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static void *OpenName(void *name) {
  const int folder = open("folder", O_RDONLY | O_DIRECTORY);
  close(openat(folder, name, O_RDONLY));
  close(folder);
  return NULL;
}

static void ConnectUnix(const char *name, size_t length) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  memcpy(address.sun_path, name, length);
  const int made = socket(AF_UNIX, SOCK_STREAM, 0);
  connect(made, (struct sockaddr *)&address, (socklen_t)(sizeof(sa_family_t) + length));
  close(made);
}

static void Do(const char *what, const char *name) {
  if (strcmp(what, "read") == 0) close(open(name, O_RDONLY));
  if (strcmp(what, "write") == 0) close(open(name, O_WRONLY));
  if (strcmp(what, "create") == 0) close(open(name, O_WRONLY | O_CREAT, 0600));
  if (strcmp(what, "remove") == 0) unlink(name);
  if (strcmp(what, "rename") == 0) rename(name, "renamed");
  if (strcmp(what, "folder") == 0) mkdir(name, 0700);
  if (strcmp(what, "chdir") == 0 && chdir(name) != 0) exit(1);
  if (strcmp(what, "chmod") == 0) chmod(name, 0600);
  if (strcmp(what, "link") == 0 && symlink("anything", name) != 0) exit(1);
  if (strcmp(what, "readlink") == 0) {
    char text[16];
    if (readlink(name, text, sizeof text) < 0 && errno == ENOSYS) exit(1);
  }
  if (strcmp(what, "unix") == 0) ConnectUnix(name, strlen(name) + 1);
  if (strcmp(what, "abstract") == 0) {
    char text[64] = "";
    strncpy(text + 1, name, sizeof text - 2);
    ConnectUnix(text, strlen(name) + 1);
  }
  if (strcmp(what, "tcp") == 0) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(name))};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const int made = socket(AF_INET, SOCK_STREAM, 0);
    connect(made, (struct sockaddr *)&address, sizeof address);
    close(made);
  }
  if (strcmp(what, "family") == 0) close(socket(atoi(name), SOCK_DGRAM, 0));
  if (strcmp(what, "signal") == 0) kill(atoi(name), 0);
  if (strcmp(what, "trace") == 0) ptrace(PTRACE_SEIZE, atoi(name), 0, 0);
  if (strcmp(what, "mount") == 0) syscall(SYS_mount, "none", "/nowhere", "tmpfs", 0, NULL);
  if (strcmp(what, "user") == 0) syscall(SYS_setuid, atoi(name));
  if (strcmp(what, "namespace") == 0 && fork() == 0) {
    syscall(SYS_unshare, 0x20000000);
    _exit(0);
  }
  if (strcmp(what, "open-many") == 0) {
    char path[256];
    for (int index = 0; index < atoi(name); ++index) {
      snprintf(path, sizeof path, "many/%d/%d", index % 20000, index);
      mkdir(path, 0700);
    }
  }
  if (strcmp(what, "threads") == 0) {
    pthread_t threads[50];
    for (int index = 0; index < 50; ++index) pthread_create(&threads[index], NULL, OpenName, (void *)name);
    for (int index = 0; index < 50; ++index) pthread_join(threads[index], NULL);
  }
  if (strcmp(what, "fork") == 0) {
    int count = 0;
    for (pid_t child = 0; (child = fork()) >= 0; ++count) {
      if (child == 0) {
        pause();
        _exit(0);
      }
    }
    printf("%s after %d\n", errno == EAGAIN ? "EAGAIN" : strerror(errno), count);
    exit(0);
  }
  if (strcmp(what, "leave") == 0 && fork() == 0) {
    setsid();
    if (fork() == 0) {
      close(STDOUT_FILENO);
      close(STDERR_FILENO);
      pause();
    }
    _exit(0);
  }
  if (strcmp(what, "swap") == 0) {
    // Another thread changes the path while the call waits for the one who looks.
    static volatile char path[64];
    strcpy((char *)path, "harmless");
    if (fork() == 0) _exit(0);
    for (int index = 0; index < 100; ++index) {
      close(open((const char *)path, O_RDONLY));
      path[0] = path[0] == 'h' ? 'H' : 'h';
    }
  }
  if (strcmp(what, "bad") == 0) open((const char *)8, O_RDONLY);
  if (strcmp(what, "exit") == 0) exit(atoi(name));
  if (strcmp(what, "die") == 0) kill(getpid(), atoi(name));
  if (strcmp(what, "say") == 0) {
    puts(name);
    fflush(stdout);
  }
  if (strcmp(what, "stay") == 0) pause();
}

int main(int count, char **arguments) {
  for (int index = 1; index + 1 < count; index += 2) Do(arguments[index], arguments[index + 1]);
  while (wait(NULL) > 0 && count > 0) {}
  return 0;
}
