import { name } from '@conveyor/service'
import { z } from 'zod'

const ALLOWED = 'a URL such as postgres://user@127.0.0.1:5432/database is allowed'

/** Variables of services that use PostgreSQL. */
export const databaseSettings = {
  DATABASE_URL: z
    .string()
    .regex(/^postgres(ql)?:\/\/\S+$/, ALLOWED)
    .refine(text => URL.canParse(text.replace('@/', '@host/')), ALLOWED) // without a host: the one that PGHOST names
    .optional(),
  /** Schema in which the tables are; it is created. */
  DATABASE_SCHEMA: name('conveyor') as z.ZodDefault<z.ZodString>,
}
