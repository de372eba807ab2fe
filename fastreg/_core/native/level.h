/* FASTREG_LEVEL (from meson.build) is the level that a file is compiled for. It names the tables,
 * not the macros of the compiler: CFLAGS such as -march=native widen the vectors of every level. */
#ifndef FASTREG_LEVEL_H
#define FASTREG_LEVEL_H

#define FASTREG_JOIN_(a, b) a##b
#define FASTREG_JOIN(a, b) FASTREG_JOIN_(a, b)
#define FASTREG_TEXT_(a) #a
#define FASTREG_TEXT(a) FASTREG_TEXT_(a)

#define LEVEL_NAMED(prefix) FASTREG_JOIN(prefix, FASTREG_LEVEL)
#define LEVEL_NAME FASTREG_TEXT(FASTREG_LEVEL)

#endif
