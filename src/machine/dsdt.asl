/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the board "pc" always has: the PCI host, the ISA bridge with its chips, the routing of the PCI
 * interrupts. What differs from machine to machine (address windows, processors, serial ports, HPET)
 * and the interrupt table _PRT, which repeats the wiring of bus/pci.c, is in the SSDT that acpi_ssdt.c
 * writes; nothing here refers to it.
 *
 * Revision 1 (integers of 32 bits) and no External, so that Windows XP and the small parser of
 * SeaBIOS, which looks for the keyboard here, read it too.
 */
DefinitionBlock ("dsdt.aml", "DSDT", 1, "TRPEZE", "TRPEZEPC", 1)
{
    /* The sleep types that device/acpi_pm.c takes for power off and for hibernation, in which the guest
     * has saved its memory to a disk before. There is no suspend to RAM, hence no _S3. */
    Name (\_S4, Package (4) { 2, 2, 0, 0 })
    Name (\_S5, Package (4) { 0, 0, 0, 0 })

    Scope (\_SB)
    {
        Device (PCI0)
        {
            Name (_HID, EisaId ("PNP0A03"))
            Name (_UID, 0)

            /* PIIX3, function 0 */
            Device (ISA)
            {
                Name (_ADR, 0x00010000)
                /* PIRQRC[A:D]: bit 7 off, bits 0-3 the ISA interrupt */
                OperationRegion (PIRR, PCI_Config, 0x60, 4)
                Field (PIRR, ByteAcc, NoLock, Preserve)
                {
                    PRQ0, 8,
                    PRQ1, 8,
                    PRQ2, 8,
                    PRQ3, 8
                }

                Device (PIC)
                {
                    Name (_HID, EisaId ("PNP0000"))
                    Name (_CRS, ResourceTemplate ()
                    {
                        IO (Decode16, 0x0020, 0x0020, 0, 2)
                        IO (Decode16, 0x00A0, 0x00A0, 0, 2)
                        IO (Decode16, 0x04D0, 0x04D0, 0, 2)
                        IRQNoFlags () { 2 }
                    })
                }

                /* No interrupt: the HPET may take its place on IRQ 0. */
                Device (PIT)
                {
                    Name (_HID, EisaId ("PNP0100"))
                    Name (_CRS, ResourceTemplate ()
                    {
                        IO (Decode16, 0x0040, 0x0040, 0, 4)
                    })
                }

                Device (DMAC)
                {
                    Name (_HID, EisaId ("PNP0200"))
                    Name (_CRS, ResourceTemplate ()
                    {
                        IO (Decode16, 0x0000, 0x0000, 0, 0x10)
                        IO (Decode16, 0x0081, 0x0081, 0, 0x0F)
                        IO (Decode16, 0x00C0, 0x00C0, 0, 0x20)
                        DMA (Compatibility, NotBusMaster, Transfer8_16) { 4 }
                    })
                }

                Device (SPKR)
                {
                    Name (_HID, EisaId ("PNP0800"))
                    Name (_CRS, ResourceTemplate ()
                    {
                        IO (Decode16, 0x0061, 0x0061, 0, 1)
                    })
                }

                Device (RTC)
                {
                    Name (_HID, EisaId ("PNP0B00"))
                    Name (_CRS, ResourceTemplate ()
                    {
                        IO (Decode16, 0x0070, 0x0070, 0, 2)
                        IRQNoFlags () { 8 }
                    })
                }

                Device (KBD)
                {
                    Name (_HID, EisaId ("PNP0303"))
                    Name (_STA, 0x0F)
                    Name (_CRS, ResourceTemplate ()
                    {
                        IO (Decode16, 0x0060, 0x0060, 0, 1)
                        IO (Decode16, 0x0064, 0x0064, 0, 1)
                        IRQNoFlags () { 1 }
                    })
                }

                Device (MOU)
                {
                    Name (_HID, EisaId ("PNP0F13"))
                    Name (_STA, 0x0F)
                    Name (_CRS, ResourceTemplate ()
                    {
                        IRQNoFlags () { 12 }
                    })
                }
            }

            /* PIIX4, function 3: power management */
            Device (PM)
            {
                Name (_ADR, 0x00010003)
            }
        }

        /* fw_cfg, under the id that QEMU has published and Linux binds to */
        Device (FWCF)
        {
            Name (_HID, "QEMU0002")
            Name (_STA, 0x0B)
            Name (_CRS, ResourceTemplate ()
            {
                IO (Decode16, 0x0510, 0x0510, 0, 12)
            })
        }

        /* The links between PCI's four interrupt lines and the ISA interrupts. They arrive at the
         * interrupt controllers active high. The same links serve both interrupt models: the I/O APIC's
         * pins 0-15 are the ISA interrupts. */

        /* _STA of a link by its register: disabled or enabled */
        Method (LSTA, 1, NotSerialized)
        {
            If (Arg0 & 0x80)
            {
                Return (0x09)
            }
            Return (0x0B)
        }

        /* _CRS of a link by its register */
        Name (LBUF, ResourceTemplate ()
        {
            Interrupt (ResourceConsumer, Level, ActiveHigh, Shared, , , LINT) { 0 }
        })
        Method (LCRS, 1, Serialized)
        {
            CreateDWordField (LBUF, ^LINT._INT, LNUM)
            LNUM = 0
            If (!(Arg0 & 0x80))
            {
                LNUM = Arg0
            }
            Return (LBUF)
        }

        /* The interrupt number in the template that _SRS is given */
        Method (LSRS, 1, Serialized)
        {
            CreateDWordField (Arg0, 5, LNUM)
            Return (LNUM)
        }

        Device (LNKA)
        {
            Name (_HID, EisaId ("PNP0C0F"))
            Name (_UID, 1)
            Name (_PRS, ResourceTemplate ()
            {
                Interrupt (ResourceConsumer, Level, ActiveHigh, Shared) { 5, 10, 11 }
            })
            Method (_STA) { Return (LSTA (^^PCI0.ISA.PRQ0)) }
            Method (_DIS) { ^^PCI0.ISA.PRQ0 |= 0x80 }
            Method (_CRS) { Return (LCRS (^^PCI0.ISA.PRQ0)) }
            Method (_SRS, 1) { ^^PCI0.ISA.PRQ0 = LSRS (Arg0) }
        }

        Device (LNKB)
        {
            Name (_HID, EisaId ("PNP0C0F"))
            Name (_UID, 2)
            Name (_PRS, ResourceTemplate ()
            {
                Interrupt (ResourceConsumer, Level, ActiveHigh, Shared) { 5, 10, 11 }
            })
            Method (_STA) { Return (LSTA (^^PCI0.ISA.PRQ1)) }
            Method (_DIS) { ^^PCI0.ISA.PRQ1 |= 0x80 }
            Method (_CRS) { Return (LCRS (^^PCI0.ISA.PRQ1)) }
            Method (_SRS, 1) { ^^PCI0.ISA.PRQ1 = LSRS (Arg0) }
        }

        Device (LNKC)
        {
            Name (_HID, EisaId ("PNP0C0F"))
            Name (_UID, 3)
            Name (_PRS, ResourceTemplate ()
            {
                Interrupt (ResourceConsumer, Level, ActiveHigh, Shared) { 5, 10, 11 }
            })
            Method (_STA) { Return (LSTA (^^PCI0.ISA.PRQ2)) }
            Method (_DIS) { ^^PCI0.ISA.PRQ2 |= 0x80 }
            Method (_CRS) { Return (LCRS (^^PCI0.ISA.PRQ2)) }
            Method (_SRS, 1) { ^^PCI0.ISA.PRQ2 = LSRS (Arg0) }
        }

        Device (LNKD)
        {
            Name (_HID, EisaId ("PNP0C0F"))
            Name (_UID, 4)
            Name (_PRS, ResourceTemplate ()
            {
                Interrupt (ResourceConsumer, Level, ActiveHigh, Shared) { 5, 10, 11 }
            })
            Method (_STA) { Return (LSTA (^^PCI0.ISA.PRQ3)) }
            Method (_DIS) { ^^PCI0.ISA.PRQ3 |= 0x80 }
            Method (_CRS) { Return (LCRS (^^PCI0.ISA.PRQ3)) }
            Method (_SRS, 1) { ^^PCI0.ISA.PRQ3 = LSRS (Arg0) }
        }

        /* The power function's SCI: wired to 9, cannot be moved */
        Device (LNKS)
        {
            Name (_HID, EisaId ("PNP0C0F"))
            Name (_UID, 5)
            Name (_STA, 0x0B)
            Name (_PRS, ResourceTemplate ()
            {
                Interrupt (ResourceConsumer, Level, ActiveHigh, Shared) { 9 }
            })
            Name (_CRS, ResourceTemplate ()
            {
                Interrupt (ResourceConsumer, Level, ActiveHigh, Shared) { 9 }
            })
            Method (_DIS) { }
            Method (_SRS, 1) { }
        }
    }
}
