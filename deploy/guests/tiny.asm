; A guest that fits into two disk sectors: what it says on its serial port shows what became of it.
;
;   nasm -f bin tiny.asm -o tiny.img        (build-tiny.sh makes a bootable disk of it)
;
; Every tick (18 a second) it writes one line on COM1, all numbers with eight hexadecimal digits:
;
;   N=<nonce> B=<boots> C=<count> G=<generation>
;
;   N   drawn at boot: the same before and after a move means that memory went along
;   B   kept in disk sector 2, one more for each boot of this disk
;   C   kept in memory, one more for each tick
;   G   what the host says in the fw_cfg file opt/clusterd/generation, read afresh each tick
;
; Orders are single letters on COM1:
;
;   f  100 ticks a second        u  1000 ticks a second
;   w  write each line to disk sector 3 (the ledger), or stop that; an error prints a line E
;   d  dirty 512 KiB of memory each tick, or stop that
;   m  fill the memory above 1 MiB, once, so that there is something to move (no line comes meanwhile)
;   n  ignore the power button, or stop that
;   h  hang with a busy processor      i  hang with an idle one
;   p  panic (pvpanic)     r  reset     o  power off
;
; On COM2 it answers every line with {"return": {}}, which is all of the guest agent's protocol that a ping needs.
; Where it has a display, that shows one line of greeting. The ACPI power button makes it say BYE and switch itself off.

        bits 16
        org 0x7c00

COM1            equ 0x3f8
COM2            equ 0x2f8
PM_STATUS       equ 0x600               ; where SeaBIOS puts the ACPI power management of both machine types
PM_ENABLE       equ 0x602
PM_CONTROL      equ 0x604
BUTTON          equ 0x0100
FW_CFG          equ 0x510
FW_CFG_FILES    equ 0x19
BOOTS_SECTOR    equ 3                   ; CHS counts sectors from one
LEDGER_SECTOR   equ 4
BOOTS           equ 0x8000              ; buffers of one sector each
LINE            equ 0x8200
ENTRY           equ 0x8400

boot:   cli
        xor ax, ax
        mov ds, ax
        mov es, ax
        mov ss, ax
        mov sp, boot
        cld
        sti
        mov [drive], dl
        mov bx, second
        mov cx, 2
        mov ax, 0x0201
        call disk
        jnc second
        jmp $

; One sector: AX is 0x0201 to read or 0x0301 to write, CX the sector, BX the buffer. Carry is set on an error.
disk:   mov dl, [drive]
        mov dh, 0
        int 0x13
        ret

; The text at SI to the port at BP.
say:    lodsb
        test al, al
        jz done
        call put
        jmp say

put:    push dx
        push ax
        lea dx, [bp + 5]
.busy:  in al, dx
        test al, 0x20
        jz .busy
        pop ax
        mov dx, bp
        out dx, al
        pop dx
done:   ret

; The text at SI, then EAX as eight digits, to DI.
field:  push eax
.text:  lodsb
        test al, al
        jz .number
        stosb
        jmp .text
.number:
        pop eax
        mov cx, 8
.digit: rol eax, 4
        push ax
        and al, 15
        add al, '0'
        cmp al, '9'
        jbe .store
        add al, 'a' - '9' - 1
.store: stosb
        pop ax
        loop .digit
        ret

; Where the generation is: its fw_cfg selector goes to [selector], which stays 0 when the host gave none.
find_generation:
        mov dx, FW_CFG
        mov ax, FW_CFG_FILES
        out dx, ax
        inc dx
        mov di, ENTRY
        mov cx, 4
        rep insb
        mov bl, [ENTRY + 3]             ; big-endian count; there are never 256
.next:  test bl, bl
        jz done
        dec bl
        mov di, ENTRY
        mov cx, 64
        rep insb
        mov si, file_name
        mov di, ENTRY + 8
        mov cx, file_name_size
        repe cmpsb
        jne .next
        mov ax, [ENTRY + 4]
        xchg al, ah
        mov [selector], ax
        ret

; Copies of the 64 KiB at 0x10000 go to all memory above 1 MiB. Nothing in them is a page of zeros.
fill:   mov ax, 0x1000
.mark:  mov es, ax
        mov byte [es:1], 1
        add ax, 0x100
        cmp ah, 0x20
        jb .mark
        push ds
        pop es
        mov word [copy_to], 0x9310
        mov byte [copy_to + 3], 0
        mov ax, 0xe801                  ; AX: KiB from 1 MiB to 16 MiB, BX: blocks of 64 KiB above
        int 0x15
        shr ax, 6
        add ax, bx
        jz done
        xchg ax, cx
.block: push cx
        mov cx, 0x8000
        mov si, copy
        mov ah, 0x87
        int 0x15
        pop cx
        inc byte [copy_to]
        jnz .same
        inc byte [copy_to + 3]
.same:  loop .block
        ret

copy:   times 16 db 0                   ; the firmware's table for a copy between any two places below 4 GiB
        dw 0xffff, 0
        db 0x01, 0x93
        dw 0
        dw 0xffff, 0
copy_to:
        db 0x10, 0x93
        dw 0
        times 16 db 0

drive:          db 0
writes:         db 0
dirties:        db 0
is_deaf:        db 0
selector:       dw 0
nonce:          dd 0
count:          dd 0
file_name:      db 'opt/clusterd/generation', 0
file_name_size  equ $ - file_name
text_nonce:     db 'N=', 0
text_boots:     db ' B=', 0
text_count:     db ' C=', 0
text_pong:      db '{"return": {}}', 10, 0
text_error:     db 'E', 13, 10, 0
text_bye:       db 'BYE', 13, 10, 0

        times 510 - ($ - $$) db 0
        dw 0xaa55

second: mov al, 1                       ; both ports get their queues of 16 characters
        mov dx, COM1 + 2
        out dx, al
        mov dx, COM2 + 2
        out dx, al
        mov dx, PM_CONTROL              ; the button is an event of ours and no longer the firmware's
        in ax, dx
        or al, 1
        out dx, ax
        mov ax, BUTTON
        mov dx, PM_STATUS
        out dx, ax
        mov dx, PM_ENABLE
        out dx, ax
        mov si, text_hello              ; for a screenshot; without a display nothing comes of it
.show:  lodsb
        mov ah, 0x0e
        mov bx, 7
        int 0x10
        cmp byte [si], 0
        jne .show
        rdtsc
        mov [nonce], eax
        mov bx, BOOTS
        mov cx, BOOTS_SECTOR
        mov ax, 0x0201
        call disk
        jc .started
        inc dword [BOOTS]
        mov ax, 0x0301
        mov cx, BOOTS_SECTOR
        call disk
.started:
        call find_generation

tick:   hlt
        call look_at_button
        mov bp, COM1
        call obey
        call answer
        inc dword [count]
        call compose
        mov bp, COM1
        mov si, LINE
        call say
        cmp byte [writes], 0
        je .written
        mov bx, LINE
        mov cx, LEDGER_SECTOR
        mov ax, 0x0301
        call disk
        jnc .written
        mov si, text_error
        call say                        ; BP still says COM1
.written:
        cmp byte [dirties], 0
        je tick
        mov ax, 0x1000                  ; segments 0x1000 to 0x8fff, one byte of each page
.page:  mov es, ax
        inc byte [es:0]
        add ax, 0x100
        cmp ax, 0x9000
        jb .page
        push ds
        pop es
        jmp tick

compose:
        mov di, LINE
        mov si, text_nonce
        mov eax, [nonce]
        call field
        mov si, text_boots
        mov eax, [BOOTS]
        call field
        mov si, text_count
        mov eax, [count]
        call field
        mov eax, ' G='
        stosd
        dec di
        mov ax, [selector]
        test ax, ax
        jz .end
        mov dx, FW_CFG
        out dx, ax
        inc dx
        mov cx, 8
        rep insb
.end:   mov eax, 0x00000a0d
        stosd
        ret

look_at_button:
        mov dx, PM_STATUS
        in ax, dx
        test ah, BUTTON >> 8
        jz return
        mov ax, BUTTON                  ; written back it is cleared
        out dx, ax
        cmp byte [is_deaf], 0
        jne return
        mov bp, COM1
        mov si, text_bye
        call say
power_off:
        mov dx, PM_CONTROL
        mov ax, 0x2000                  ; sleep state 5
        out dx, ax
        jmp $

; Every line that came in on COM2 gets an answer. A port that is not there reads as all ones.
answer: mov bp, COM2
.next:  mov dx, COM2 + 5
        in al, dx
        cmp al, 0xff
        je return
        test al, 1
        jz return
        mov dx, COM2
        in al, dx
        cmp al, 10
        jne .next
        mov si, text_pong
        call say
        jmp .next

obey:   mov dx, COM1 + 5
        in al, dx
        test al, 1
        jz return
        mov dx, COM1
        in al, dx
        mov si, orders
.look:  cmp byte [si], 0
        je obey
        cmp al, [si]
        je .found
        add si, 3
        jmp .look
.found: call [si + 1]
        jmp obey
return: ret

orders: db 'f'
        dw fast
        db 'u'
        dw faster
        db 'w'
        dw write
        db 'd'
        dw dirty
        db 'm'
        dw fill
        db 'n'
        dw deafen
        db 'h'
        dw hang
        db 'i'
        dw idle
        db 'p'
        dw panic
        db 'r'
        dw reset
        db 'o'
        dw power_off
        db 0

fast:   mov bx, 11932                   ; the timer runs at 1193182 Hz
        jmp retime
faster: mov bx, 1193
retime: mov al, 0x34
        out 0x43, al
        mov al, bl
        out 0x40, al
        mov al, bh
        out 0x40, al
        ret
write:  xor byte [writes], 1
        ret
dirty:  xor byte [dirties], 1
        ret
deafen: xor byte [is_deaf], 1
        ret
panic:  mov dx, 0x505
        mov al, 1
        out dx, al
        ret
reset:  mov dx, 0xcf9
        mov al, 6
        out dx, al
hang:   cli
        jmp $
idle:   cli
        hlt
        jmp idle

text_hello:     db 13, 10, 'tiny guest: see its console', 0

        times 1024 - ($ - $$) db 0
