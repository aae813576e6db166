//! Help that belongs to no single verb.

/// `banger help exit-codes`.
pub const EXIT_CODES: &str = "\
Exit statuses

Of `vm run`, `vm exec`, `vm shell` and their short forms:
  0 to 255  the command's own
  128+n     signal n ended the command, or banger itself (130: Ctrl-C, 141: nobody reads the output)
  125       banger failed before or around the command; it says so on standard error
  126       the command is there and cannot be executed
  127       the command is not there, or the user is not
  2         the arguments are wrong; nothing was done

Of all other verbs:
  0         everything that was asked was done
  1         something failed; of several machines, at least one
  2         the arguments or the request are wrong; nothing was done
  128+n     signal n ended banger

Whatever is not 0 is explained on standard error, as `banger: CAUSE (OPERATION)`, then `remedy: …`
where one is known; with --json as one JSON object with code, message, remedy and op.";

/// `banger help stdin`.
pub const STDIN: &str = "\
What a command in a machine gets as standard input

  standard input is      is sent
  a pipe or a socket     always
  a regular file         always
  a terminal             when the command gets a terminal, or with -i
  /dev/null or closed    only with -i: the command then sees its end

  -i  send it whatever it is, without a terminal unless -t is given, too
  -t  give the command a terminal
  -n  send nothing; use it in loops that read from the same input

The command gets a terminal with -t, or when standard input and output both are terminals and
neither -i nor -n is given. In scripts and pipes it gets none.

Without a terminal, Ctrl-C sends SIGINT to the command; the third within three seconds ends the
wait for it. With a terminal, Ctrl-C is a key that the terminal in the machine sees.";
