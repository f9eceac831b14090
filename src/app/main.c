#include "registry.h"

int main(int argc, char **argv) { return HcMain(argc, argv, HcModels); }
