export interface Options {
  /** Made on the page of the session, or over REST; it writes into that session and reads nothing. */
  token: string;
  /** Where the conductor is, such as https://live.example.org. */
  url: string;
  /** Whether more than presence may be told before `consent` was called. Default: true. */
  consent?: boolean;
}

export interface Beacon {
  /** Count chat messages that were written in this tab; what they say is never sent. */
  chat(count?: number): void;
  /** Count reactions: applause, hearts, thumbs. */
  reaction(count?: number): void;
  /** Say whether the visitor agrees. Who does not counts as present and nothing more, as with Global Privacy Control. */
  consent(isGiven: boolean): void;
  /** Leave, for good. A page that is closed or left does so by itself. */
  leave(): void;
}

/** Report to a conductor that this tab is there, from now on. */
export function connect(options: Options): Beacon;
