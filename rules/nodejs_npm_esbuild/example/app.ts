import ms from "ms";

import { shout } from "./words";

interface Request {
  text: string;
}

export const handler = async (event: Request): Promise<string> => shout(`${ms(event.text)}`);
