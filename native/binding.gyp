{
  "target_defaults": {
    "include_dirs": ["<!@(node -p \"require('node-addon-api').include_dir\")"],
    "defines": ["NAPI_VERSION=9", "NAPI_CPP_EXCEPTIONS"],
    "cflags_cc": ["-std=c++20", "-fexceptions", "-Wall", "-Wextra", "-Werror", "-Wno-unused-parameter", "-Wno-cast-function-type"],
    "cflags_cc!": ["-fno-exceptions", "-std=gnu++17", "-std=gnu++20"]
  },
  "targets": [
    {
      "target_name": "peer",
      "sources": ["<!@(ls peer/*.cc)"]
    },
    {
      "target_name": "key",
      "sources": ["<!@(ls key/*.cc)"]
    },
    {
      "target_name": "tpm",
      "sources": ["<!@(ls tpm/*.cc)"],
      "libraries": ["<!@(pkg-config --libs tss2-esys tss2-mu tss2-tctildr tss2-rc)"]
    },
    {
      "target_name": "pkcs11",
      "variables": { "pkcs11js": "<!(node -p \"require('node:path').relative('.', require('node:path').dirname(require.resolve('pkcs11js/package.json')))\")" },
      "sources": ["<(pkcs11js)/src/main.cpp", "<(pkcs11js)/src/common.cpp"],
      "include_dirs": ["<(pkcs11js)/includes"],
      "cflags_cc!": ["-Wall", "-Wextra", "-Werror"]
    },
    {
      "target_name": "sandbox",
      "type": "executable",
      "product_extension": "",
      "sources": ["<!@(ls sandbox/*.cc)"],
      "ldflags": ["<!@(sh sandbox/static-flags.sh)"]
    }
  ]
}
