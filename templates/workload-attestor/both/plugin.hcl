programs {
  shell = "/usr/bin/sh"
}
