/* Copyright 2026 the xsched-triton authors.
 * SPDX-License-Identifier: Apache-2.0
 *
 * The protocol of src/domain/member.cc, for spin: run.sh checks it. Each read or
 * write of shared memory is a step of its own, and all memory orders there are
 * sequentially consistent.
 *
 * Process 0 has priority 1, the others 2, and 0 is nobody's. Each claims to be
 * ready, waits for its turn, works, and withdraws.
 *
 * FAULTS   one process may be killed, or stopped for a while or for good, at any
 *          step; each process has its thread that ticks. Without: no thread, so
 *          a wake-up that is lost is seen as a deadlock.
 * MUTATION breaks one rule, so that run.sh sees that the model notices.
 */

#ifndef N
#define N 3
#endif
#ifndef ROUNDS
#define ROUNDS 1
#endif
#ifndef MUTATION
#define MUTATION 0
#endif

/* Words of shared memory: a priority and a number that each write changes. */
typedef Word {
  byte ready;
  byte beat
};
Word claim[N];
Word top;
byte waits[N];
/* The bell has rung since its process last read the count of its rings. */
bool bell[N];

/* Of each process. */
byte ready[N]; /* what it claims */
byte beat[N];  /* of the claim that it wrote last */
bool lock[N];  /* of its device */
bool finished[N];

/* What happens to one of them. */
bool dead[N];
bool stopped[N];
bool struck;

/* For the properties: its claim is complete, so that nobody below may go. */
bool holds[N];

#define Prio(i) ((i) == 0 -> 1 : 2)
#define Runs(i) (!dead[i] && !stopped[i])

/* Member::Settle. */
inline settle(t, t_beat, m, j)
{
  do
  :: atomic { t = top.ready; t_beat = top.beat; m = 0; j = 0 };
     do
     :: atomic { j < N -> m = (claim[j].ready > m -> claim[j].ready : m); j++ }
     :: atomic { j == N -> j = 0; break }
     od;
     atomic {
#if MUTATION == 1
       /* It is not replaced if nothing changes. */
       if
       :: m == t -> j = 0; break
       :: else
       fi;
#endif
#if MUTATION == 2
       /* It is replaced whatever it is by now. */
       top.ready = m; top.beat++; j = 0; break
#else
       if
       :: top.ready == t && top.beat == t_beat ->
          top.ready = m; top.beat++; m = 0; t = 0; t_beat = 0; j = 0; break
       :: else -> skip
       fi
#endif
     }
  od
}

/* Member::Ring. */
inline ring(i, t, j)
{
  atomic { t = top.ready; j = 0 };
  do
  :: atomic {
       j < N ->
       if
       :: j != i && waits[j] != 0 && waits[j] >= t -> bell[j] = true
       :: else
       fi;
       j++
     }
  :: atomic { j == N -> t = 0; j = 0; break }
  od
}

proctype Process(byte i) provided (!stopped[i])
{
  byte t, t_beat, m, j, round;
  {
    do
    :: round < ROUNDS ->
       /* Device::Enter: Publish, with the lock. */
       atomic { !lock[i] -> lock[i] = true };
#if MUTATION != 3
       waits[i] = Prio(i);
#endif
       atomic {
         ready[i] = Prio(i); beat[i]++;
         claim[i].ready = Prio(i); claim[i].beat = beat[i]
       };
       settle(t, t_beat, m, j);
       holds[i] = (claim[i].beat == beat[i]);
       lock[i] = false;
       /* Waits for its turn. */
       do
       :: bell[i] = false;
          atomic {
            if
            :: top.ready <= Prio(i) ->
               /* The highest goes first. */
               j = 0;
               do
               :: j < N ->
                  assert(Prio(j) <= Prio(i) || !holds[j] || !Runs(j));
                  j++
               :: else -> break
               od;
               j = 0;
               break
            :: else
            fi
          };
#if MUTATION == 3
          /* It says so only after it has looked. */
          waits[i] = Prio(i);
#endif
          bell[i]
       od;
       waits[i] = 0;
       /* It works, and withdraws. */
       atomic { !lock[i] -> lock[i] = true };
       atomic {
         holds[i] = false;
         ready[i] = 0; beat[i]++;
         claim[i].ready = 0; claim[i].beat = beat[i]
       };
       settle(t, t_beat, m, j);
       lock[i] = false;
#if MUTATION != 4
       ring(i, t, j);
#endif
       round++
    :: else -> break
    od;
    finished[i] = true
  } unless { dead[i] }
}

#ifdef FAULTS
/* Member::Tick. What is assumed of time: who runs renews in time, so that only
 * a claim of a process that is dead or stopped is seen not to change. It may go
 * on between that and the revocation. A tick without anything to mend is left out:
 * spin's fairness knows no fair lock.
 */
proctype Ticks(byte i) provided (!stopped[i])
{
  byte t, t_beat, m, j, k, seen, seen_beat;
  {
    do
    :: finished[i] -> break
    :: !finished[i] && (waits[i] != 0 || claim[i].beat != beat[i]) ->
       k = 0;
       do
       :: k < N ->
          if
          :: atomic {
               k != i && !Runs(k) && claim[k].ready != 0 ->
               seen = claim[k].ready; seen_beat = claim[k].beat
             };
             atomic {
               if
#if MUTATION == 5
               /* Not the claim that was seen. */
               :: true ->
#else
               :: claim[k].ready == seen && claim[k].beat == seen_beat ->
#endif
                  claim[k].ready = 0; claim[k].beat++; holds[k] = false
               :: else
               fi;
               seen = 0; seen_beat = 0
             };
             waits[k] = 0
          :: else
          fi;
          k++
       :: else -> break
       od;
       k = 0;
       /* Mends what a dead process left. */
       atomic { t = top.ready; m = 0; j = 0 };
       do
       :: atomic { j < N -> m = (claim[j].ready > m -> claim[j].ready : m); j++ }
       :: atomic { j == N -> j = 0; break }
       od;
       if
       :: m != t -> settle(t, t_beat, m, j)
       :: else -> atomic { m = 0; t = 0 }
       fi;
       /* Device::DomainChanged: says again what others revoked. */
       atomic { !lock[i] -> lock[i] = true };
       if
#if MUTATION != 6
       :: claim[i].beat != beat[i] ->
          waits[i] = ready[i];
          atomic {
            beat[i] = claim[i].beat + 1;
            claim[i].ready = ready[i]; claim[i].beat = beat[i]
          };
          settle(t, t_beat, m, j);
          holds[i] = (ready[i] != 0 && claim[i].beat == beat[i])
#endif
       :: else
       fi;
       lock[i] = false;
       /* Its own waiter looks again; and those whose turn came by this. */
       atomic {
         if
         :: waits[i] != 0 && top.ready <= waits[i] -> bell[i] = true
         :: else
         fi
       };
       ring(i, t, j)
    od
  } unless { dead[i] }
}

/* One of them is struck, at any time. */
proctype Fate()
{
  byte who;
  select(who : 0 .. N - 1);
  if
  :: struck = true; dead[who] = true
  :: struck = true; stopped[who] = true;
     if
     :: stopped[who] = false
     :: skip
     fi
  :: skip
  fi
}

#define Done(i) (finished[i] || dead[i] || stopped[i])
#if N == 3
#define ALL (Done(0) && Done(1) && Done(2))
#else
#define ALL (Done(0) && Done(1))
#endif
/* Nobody waits for ever, for whatever happened to another one. */
ltl everybody_gets_on { <> ALL }
#endif

init
{
  byte i;
  atomic {
    do
    :: i < N ->
       run Process(i);
#ifdef FAULTS
       run Ticks(i);
#endif
       i++
    :: else -> break
    od;
#ifdef FAULTS
    run Fate()
#endif
  }
}
