/** What is asked of a web server; the fields of an HTTP probe. */
export interface HttpQuestion {
  readonly url: string;
  readonly status?: number | '<500';
  readonly contains?: string | undefined;
  readonly timeoutMs?: number;
}

/** The network as a container sees it: the way to what publishes no port. */
export interface ContainerNetwork {
  /**
   * Asks an address of localhost whose port is taken to lead to this port of the container, as a published port does. A bad answer, or none, is a result. Throws `host-files-denied` where
   * this user can't get into the container's network.
   */
  http(
    container: { readonly id: string; readonly pid: number },
    port: number,
    question: HttpQuestion,
  ): Promise<{ readonly ok: boolean; readonly detail: string }>;
}
